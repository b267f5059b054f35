//! PhoenixNAP Bare Metal Cloud: a typed client of its APIs, and the cloud provider that keeps a cluster and an account in
//! step.
