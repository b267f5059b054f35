//! What a driver binary costs whoever runs it: `make bench` builds it as it is shipped and passes its path.
//!
//! The bounds are half the time, a quarter of the memory, half the latency and a quarter of the size of the Go example
//! driver, measured the same way on a machine with two cores.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark that cannot measure should stop"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kontainer_engine::Client;

const STARTS: usize = 30;
const CALLS: usize = 1_000;

/// What the Go example driver needs, and the share of it that is ours.
struct Figure {
    name: &'static str,
    unit: &'static str,
    go: f64,
    share: f64,
}

const START: Figure = Figure {
    name: "start to first GetCapabilities answer",
    unit: "ms",
    go: 12.4,
    share: 0.5,
};
const MEMORY: Figure = Figure {
    name: "resident memory after the first answer",
    unit: "MB",
    go: 19.0,
    share: 0.25,
};
const MEMORY_LATER: Figure = Figure {
    name: "resident memory after 1,000 calls",
    unit: "MB",
    go: 19.0,
    share: 0.25,
};
const LATENCY: Figure = Figure {
    name: "latency of GetDriverCreateOptions",
    unit: "µs",
    go: 355.0,
    share: 0.5,
};
const SIZE: Figure = Figure {
    name: "size of the stripped binary",
    unit: "MB",
    go: 26.0,
    share: 0.25,
};

/// A child process that is ended and reaped when it is dropped.
struct Process(Child);

struct Driver {
    process: Process,
    client: Client,
    first_answer: Duration,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Driver {
    /// Starts the binary and asks until it answers, without pausing in between: a pause would be measured too.
    async fn start(binary: &Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let begun = Instant::now();
        let child = Command::new(binary)
            .arg(address.port().to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", binary.display()));
        let process = Process(child);
        loop {
            assert!(begun.elapsed() < Duration::from_secs(30), "the driver does not answer");
            let client = Client::new(address);
            if client.capabilities().await.is_ok() {
                return Self {
                    process,
                    client,
                    first_answer: begun.elapsed(),
                };
            }
        }
    }

    fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

/// How many bytes a call is, and its answer.
const CALL: usize = 66;
const ANSWER: usize = 4_017;
/// What makes this program the other side of [`floor`].
const ECHO: &str = "--echo";

/// Answers each call with as many bytes as a driver does, for as long as somebody is connected.
fn echo(address: &str) {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    while stream.read_exact(&mut [0; CALL]).is_ok() {
        stream.write_all(&[0; ANSWER]).unwrap();
    }
}

/// What the machine takes to wake two processes in turn, in µs: no program can answer a call sooner.
fn floor() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let child = Command::new(std::env::current_exe().unwrap())
        .args([ECHO, &address])
        .spawn();
    let _process = Process(child.unwrap());
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_nodelay(true).unwrap();
    let trip = |_| {
        let begun = Instant::now();
        stream.write_all(&[0; CALL]).unwrap();
        stream.read_exact(&mut [0; ANSWER]).unwrap();
        begun.elapsed().as_secs_f64() * 1e6
    };
    median((0..CALLS).map(trip).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(ECHO) {
        echo(&args.next().unwrap());
        return;
    }
    // `cargo bench` adds a flag of its own.
    let Some(binary) = std::env::args()
        .skip(1)
        .find(|arg| !arg.starts_with("--"))
        .map(PathBuf::from)
    else {
        eprintln!("usage: driver_process DRIVER_BINARY   (make bench passes it)");
        return;
    };
    let mut starts = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..STARTS {
        let driver = Driver::start(&binary).await;
        starts.push(driver.first_answer.as_secs_f64() * 1e3);
        memory.push(driver.resident_mb());
    }
    let driver = Driver::start(&binary).await;
    let mut latencies = Vec::new();
    for _ in 0..CALLS {
        let begun = Instant::now();
        driver.client.create_flags().await.unwrap();
        latencies.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    let size = std::fs::metadata(&binary).unwrap().len() as f64 / 1e6;

    let mut table = kit::Table::new(["FIGURE (median)", "OURS", "GO", "BOUND", "KEPT"]);
    for (figure, ours) in [
        (START, median(starts)),
        (MEMORY, median(memory)),
        (MEMORY_LATER, driver.resident_mb()),
        (LATENCY, median(latencies)),
        (SIZE, size),
    ] {
        let Figure { name, unit, go, share } = figure;
        let bound = go * share;
        table.row([
            name.to_owned(),
            format!("{ours:.2} {unit}"),
            format!("{go} {unit}"),
            format!("{bound:.2} {unit}"),
            if ours <= bound { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    table.row([
        "as many bytes back and forth, without a driver",
        &format!("{:.2} µs", floor()),
        "–",
        "–",
        "",
    ]);
    println!("{} ({STARTS} starts, {CALLS} calls)\n\n{table}", binary.display());
}
