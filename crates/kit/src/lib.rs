//! What every other crate stands on: time as a value, back-off, Go-style durations, error classes, exit codes, files
//! that are never half-written, and the tables and progress lines that people read.
//!
//! It knows nothing of Kubernetes and opens no connection.
//!
//! | start with | for |
//! |---|---|
//! | [`Clock`] | reading the time and waiting, in a way that tests can drive |
//! | [`Backoff`] | how long to wait before trying again |
//! | [`Class`] | what a caller may do about an error |
//! | [`fs::write_private`] | files that are whole and private, or not there |
//! | [`Table`] | output for people |
//! | [`lenient`] | reading what others write `null` into |
//!
//! ```
//! use kit::go_duration;
//! assert_eq!(go_duration::format(std::time::Duration::from_secs(90)), "1m30s");
//! ```

mod backoff;
mod class;
mod clock;
pub mod exit;
mod finding;
pub mod fs;
pub mod go_duration;
pub mod lenient;
mod progress;
mod report;
mod table;

pub use backoff::Backoff;
pub use class::Class;
pub use clock::Clock;
pub use finding::{Finding, Verdict};
pub use progress::Progress;
pub use report::chain;
pub use table::Table;
