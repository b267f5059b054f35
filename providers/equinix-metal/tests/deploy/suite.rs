//! What every provider must pass.

provider_suite::shipped!(crate::harness::Metal);
