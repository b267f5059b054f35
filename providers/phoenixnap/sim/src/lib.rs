//! A simulated PhoenixNAP Bare Metal Cloud.
