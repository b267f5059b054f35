//! A manager as a process.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{CloudFront, Cluster, Subject};

/// Ticks of `/proc/PID/stat` per second, as on every Linux there is.
const TICKS: f64 = 100.0;

/// A running manager, which is ended and reaped when it is dropped.
pub struct Manager {
    child: Child,
    dir: TempDir,
    began: Instant,
}

impl Manager {
    /// Starts one that the cluster knows as `user`, with these flags besides the subject's.
    pub fn start(subject: &Subject, cluster: &Cluster, cloud: &CloudFront, user: &str, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| -> PathBuf {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let kubeconfig = write("kubeconfig", cluster.kubeconfig(user));
        let config = write("cloud.conf", (subject.config)(cloud.url()));
        let log = File::create(dir.path().join("log")).unwrap();
        let began = Instant::now();
        let child = Command::new(&subject.binary)
            .args(&subject.flags)
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--cloud-config={}", config.display()))
            .arg("--secure-port=0")
            .args(flags)
            .envs(subject.env.iter().cloned())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", subject.binary.display()));
        Self { child, dir, began }
    }

    /// How long ago it was started.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Its resident memory, in bytes.
    pub fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
    }

    /// The processor time it has used.
    pub fn processor(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name in brackets may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: f64 = [11, 12].iter().map(|at| fields[*at].parse::<f64>().unwrap()).sum();
        Duration::from_secs_f64(ticks / TICKS)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end: the exit code and how long it took; nothing when it did not end in time.
    pub async fn ended(&mut self, most: Duration) -> Option<(Option<i32>, Duration)> {
        let began = Instant::now();
        super::within(most, || self.child.try_wait().unwrap())
            .await
            .map(|status| (status.code(), began.elapsed()))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
