//! Every command block of the README and the guides is run, and must print what stands there.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

mod common;

use common::{SECRET, Sim};

#[test]
fn the_commands_in_the_documentation_do_what_it_says() {
    let sim = Sim::start(&["rackspace-spot", "--speed", "120"]);
    let home = tempfile::tempdir().unwrap();
    trycmd::TestCases::new()
        .env("HOME", home.path().to_string_lossy())
        .env("RXTSPOT_BASE_URL", sim.text("url"))
        .env("RXTSPOT_OAUTH_URL", sim.text("url"))
        .env("ROADSTEAD_RACKSPACE_SPOT_REFRESH_TOKEN", SECRET)
        .env("ROADSTEAD_TIMEOUT", "50s")
        .timeout(std::time::Duration::from_mins(1))
        .case("../../README.md")
        .case("../../docs/guides/*.md")
        .case("../../docs/guides/local-clusters/*.md")
        .run();
}
