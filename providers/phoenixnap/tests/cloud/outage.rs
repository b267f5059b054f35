//! Hours in which the service is out of its mind in a way of its own.

use cloud_sim::Fault;
use provider_suite::outage::{QUIET, an_hour_of};
use serde_json::Value;

use crate::harness::Pnap;

#[tokio::test(start_paused = true)]
async fn a_list_that_is_null_deletes_nothing() {
    an_hour_of::<Pnap>("a list of null", QUIET, |_, _| {
        vec![Fault::status(200).body(Value::Null).on("GET", "/servers$")]
    })
    .await;
}
