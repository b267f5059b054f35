//! The program itself, as a process: what it says to a bad configuration, and that it works over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

mod harness;

use harness::Metal;
use provider_suite::program::refuses;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cloud-provider-equinix-metal");

provider_suite::program!(Metal, PROGRAM);

#[test]
fn a_bad_configuration_is_told_whole_and_ends_it() {
    for (config, words) in [
        ("", &["failed to process json of configuration file"][..]),
        ("{}", &["METAL_API_KEY", "METAL_PROJECT_ID"]),
        (
            r#"{"apiKey":"planted-api-key-7","projectID":"p","loadbalancer":"haproxy://","localASN":"x","apiServerPort":70000}"#,
            &[
                "loadbalancer",
                "emlb, empty, kube-vip and metallb",
                "localASN",
                "apiServerPort",
            ],
        ),
    ] {
        refuses::<Metal>(PROGRAM, config, words);
    }
}
