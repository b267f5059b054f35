//! What a driver binary costs whoever runs it: `make bench` builds it as it is shipped and passes its path.
//!
//! The bounds are half the time, a quarter of the memory, half the latency and a quarter of the size of the Go example
//! driver, measured the same way on a machine with two cores; machines differ, so where there is another driver to measure
//! beside ours, its figures take the place of those.
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

/// What is measured of a driver; medians where there are several.
#[derive(Clone, Copy)]
struct Figures {
    /// From its start to its first answer to GetCapabilities, in ms.
    start: f64,
    /// Its resident memory then, and after all calls, in MB.
    memory: [f64; 2],
    /// How long GetDriverCreateOptions takes, in µs.
    latency: f64,
    /// The processor time that the driver spends on it, in µs.
    work: Option<f64>,
    /// Its size, in MB.
    size: f64,
}

/// What the Go example driver needs, where it was measured first.
const GO: Figures = Figures {
    start: 12.4,
    memory: [19.0, 19.0],
    latency: 355.0,
    work: None,
    size: 26.0,
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

    /// The processor time that all its threads had so far, in µs.
    fn work(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.0.id())).unwrap();
        let each = threads.map(|thread| {
            let text = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
            text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e3
        });
        each.sum()
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
    let mut binaries = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let Some(binary) = binaries.next().map(PathBuf::from) else {
        eprintln!("usage: driver_process DRIVER_BINARY [OTHER_BINARY]   (make bench passes it)");
        return;
    };
    let other = binaries.next().map(PathBuf::from);
    let ours = measure(&binary).await;
    let go = match &other {
        Some(other) => measure(other).await,
        None => GO,
    };
    let named = other.map_or("GO".to_owned(), |other| other.display().to_string());
    let mut table = kit::Table::new(["FIGURE (median)", "OURS", &named, "BOUND", "KEPT"]);
    for (name, unit, of, share) in FIGURES {
        let (Some(ours), go) = (of(&ours), of(&go)) else {
            continue;
        };
        let bound = go.zip(share).map(|(go, share)| go * share);
        let told = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2} {unit}"));
        let kept = bound.map_or("", |bound| if ours <= bound { "yes" } else { "NO" });
        table.row([name, &told(Some(ours)), &told(go), &told(bound), kept]);
    }
    let floor = format!("{:.2} µs", floor());
    table.row(["as many bytes back and forth, without a driver", &floor, "–", "–", ""]);
    println!("{} ({STARTS} starts, {CALLS} calls)\n\n{table}", binary.display());
}

type Of = fn(&Figures) -> Option<f64>;

/// The lines of the table: name, unit, figure, and the share of the other driver's that is the bound.
const FIGURES: [(&str, &str, Of, Option<f64>); 6] = [
    (
        "start to first GetCapabilities answer",
        "ms",
        |it| Some(it.start),
        Some(0.5),
    ),
    (
        "resident memory after the first answer",
        "MB",
        |it| Some(it.memory[0]),
        Some(0.25),
    ),
    (
        "resident memory after 1,000 calls",
        "MB",
        |it| Some(it.memory[1]),
        Some(0.25),
    ),
    (
        "latency of GetDriverCreateOptions",
        "µs",
        |it| Some(it.latency),
        Some(0.5),
    ),
    ("of that, processor time of the driver", "µs", |it| it.work, None),
    ("size of the stripped binary", "MB", |it| Some(it.size), Some(0.25)),
];

/// Measures a driver.
async fn measure(binary: &Path) -> Figures {
    let mut starts = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..STARTS {
        let driver = Driver::start(binary).await;
        starts.push(driver.first_answer.as_secs_f64() * 1e3);
        memory.push(driver.resident_mb());
    }
    let driver = Driver::start(binary).await;
    let mut latencies = Vec::new();
    let before = driver.work();
    for _ in 0..CALLS {
        let begun = Instant::now();
        driver.client.create_flags().await.unwrap();
        latencies.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Figures {
        start: median(starts),
        memory: [median(memory), driver.resident_mb()],
        latency: median(latencies),
        work: Some((driver.work() - before) / CALLS as f64),
        size: std::fs::metadata(binary).unwrap().len() as f64 / 1e6,
    }
}
