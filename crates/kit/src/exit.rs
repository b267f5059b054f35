//! Exit codes of the commands people and scripts run. Drop-in binaries keep the codes of their originals instead.

/// Everything asked for was done.
pub const OK: u8 = 0;
/// Something failed; the message says what.
pub const FAILED: u8 = 1;
/// The command line or a configuration file makes no sense; nothing was done.
pub const USAGE: u8 = 2;
/// The thing named does not exist.
pub const NOT_FOUND: u8 = 3;
/// It exists already, or is in a state that forbids the operation.
pub const CONFLICT: u8 = 4;
/// A credential was refused.
pub const UNAUTHORIZED: u8 = 5;
/// It did not finish in the time given.
pub const TIMED_OUT: u8 = 6;
/// Stopped by a signal (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;
