//! A process that works on a cluster and can be killed: `drive start|stop|destroy|recreate DRIVER PROFILE [YAML]`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use local_cluster::{ClusterConfig, Event, Events, Host, drivers};
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::play::Play;

pub fn run(play: &Play) -> i32 {
    let (verb, driver, profile, yaml) = match play.args.as_slice() {
        [verb, driver, profile] => (verb, driver, profile, None),
        [verb, driver, profile, yaml] => (verb, driver, profile, Some(yaml)),
        _ => return 2,
    };
    let mut host = Host::current();
    host.limits.start = Some(Duration::from_secs(20));
    host.limits.grace = Duration::from_millis(300);
    host.simulator = Some(vec![play.dir.join("../bin/sim").into_os_string()]);
    host.wait = std::env::var_os("DRIVE_WITHOUT_WAITING").is_none();
    let own = getpid().as_raw_nonzero().to_string();
    host.env.insert("FAKE_DRIVER".into(), own.into());
    host.events = Events::to(dying_at_a_phase());
    let manager = drivers::standard()
        .unwrap()
        .manager(driver, &Arc::new(host), profile)
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let outcome = runtime.block_on(async {
        let config = yaml.map_or_else(
            || ClusterConfig::defaults(driver),
            |yaml| ClusterConfig::from_yaml(yaml).unwrap(),
        );
        let work = async {
            match verb.as_str() {
                "start" => manager.start(&config).await,
                "recreate" => manager.recreate(&config).await,
                "stop" => manager.stop().await,
                _ => manager.destroy().await,
            }
        };
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        // As the command does: Ctrl-C and a polite kill drop the work.
        tokio::select! {
            outcome = work => Some(outcome),
            _ = tokio::signal::ctrl_c() => None,
            _ = terminate.recv() => None,
        }
    });
    let _ = std::fs::write(play.dir.join("peak"), peak());
    match outcome {
        Some(Ok(())) => 0,
        Some(Err(error)) => {
            eprintln!("{error}");
            1
        }
        None => 130,
    }
}

/// Tells every event, and dies when the phase begins whose number `DIE_AT_PHASE` is.
fn dying_at_a_phase() -> impl Fn(Event) + Send + Sync {
    let last = std::env::var("DIE_AT_PHASE")
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let told = AtomicU64::new(0);
    move |event| {
        eprintln!("{event:?}");
        if !matches!(event, Event::Phase { .. }) {
            return;
        }
        if last == Some(told.fetch_add(1, Ordering::Relaxed) + 1) {
            let _ = kill_process(getpid(), Signal::KILL);
            std::thread::sleep(Duration::from_mins(1));
        }
    }
}

/// The most memory this process had, in KiB. Linux only.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap_or_default().trim().trim_end_matches(" kB").to_owned()
}
