//! Plays the tools.
fn main() {}
