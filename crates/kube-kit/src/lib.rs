//! What client-go has and the `kube` crate lacks.
//!
//! | start with | for |
//! |---|---|
//! | [`kubeconfig::edit`] | changing a kubeconfig file without getting in the way of `kubectl` or losing what others wrote |
//! | [`kubeconfig::Kubeconfig::access`] | how the current context reaches its cluster |
//!
//! What it is not for: talking to a cluster.

pub mod kubeconfig;
