//! The command people type. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    roadstead::main(std::env::args_os())
}
