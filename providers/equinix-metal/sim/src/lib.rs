//! A simulated Equinix Metal.
