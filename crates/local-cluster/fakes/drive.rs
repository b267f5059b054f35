//! A process that works on a cluster and can be killed: `drive start|stop|destroy DRIVER PROFILE`.

use std::sync::Arc;
use std::time::Duration;

use local_cluster::{ClusterConfig, Host, drivers};

use crate::play::Play;

pub fn run(play: &Play) -> i32 {
    let [verb, driver, profile] = play.args.as_slice() else {
        return 2;
    };
    let mut host = Host::current();
    host.limits.start = Some(Duration::from_secs(20));
    host.simulator = Some(vec![play.dir.join("../bin/sim").into_os_string()]);
    let manager = drivers::standard()
        .unwrap()
        .manager(driver, &Arc::new(host), profile)
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let outcome = runtime.block_on(async {
        let config = ClusterConfig::defaults(driver);
        let work = async {
            match verb.as_str() {
                "start" => manager.start(&config).await,
                "stop" => manager.stop().await,
                _ => manager.destroy().await,
            }
        };
        // As the command does: Ctrl-C drops the work.
        tokio::select! {
            outcome = work => Some(outcome),
            _ = tokio::signal::ctrl_c() => None,
        }
    });
    match outcome {
        Some(Ok(())) => 0,
        Some(Err(error)) => {
            eprintln!("{error}");
            1
        }
        None => 130,
    }
}
