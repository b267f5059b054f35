//! What every provider must pass.

provider_suite::nodes!(crate::harness::Pnap);
