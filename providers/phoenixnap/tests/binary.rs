//! The program itself, as a process: what it says to a bad configuration, and that it works over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
#[path = "cloud/harness.rs"]
mod harness;

use harness::Pnap;
use provider_suite::program::refuses;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cloud-provider-phoenixnap");

provider_suite::program!(Pnap, PROGRAM);

#[test]
fn a_bad_configuration_is_told_whole_and_ends_it() {
    for (config, words) in [
        ("{}", &["PNAP_CLIENT_ID", "PNAP_CLIENT_SECRET"][..]),
        (
            r#"{"clientID":"c","clientSecret":"planted-secret-7","loadbalancer":"haproxy://","ipBlockSize":"/99","apiServerPort":70000}"#,
            &["haproxy", "ipBlockSize", "apiServerPort"],
        ),
    ] {
        refuses::<Pnap>(PROGRAM, config, words);
    }
}
