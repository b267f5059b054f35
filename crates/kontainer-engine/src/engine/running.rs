//! A driver that is up, as a process or in this one.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kit::Backoff;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::process::Process;
use super::{DriverSource, EngineError, Patience};
use crate::client::{Client, ClientError};
use crate::driver::Driver;
use crate::logstream::LogStream;
use crate::observe::{Event, Reporter};
use crate::server::{Server, ServerError};

/// How long one question whether the driver is up may take.
const PROBE: Duration = Duration::from_secs(5);
/// How often to choose another port when somebody else took the one we had found.
const PORTS: usize = 3;

pub(super) struct Running {
    client: Client,
    patience: Patience,
    kind: Kind,
}

enum Kind {
    Process(Box<Process>),
    InProcess {
        stop: CancellationToken,
        serving: JoinHandle<Result<(), ServerError>>,
        /// Ends when the token is cancelled and all lines are told.
        logs: (CancellationToken, JoinHandle<()>),
    },
}

impl Running {
    /// Starts a driver and waits until it answers.
    pub(super) async fn start(
        source: &DriverSource,
        report: &Reporter,
        patience: Patience,
        cancel: &CancellationToken,
    ) -> Result<Self, EngineError> {
        match source {
            DriverSource::BuiltIn(driver) => Self::serve(driver.clone(), report, patience).await,
            DriverSource::Program(path) => Self::spawn(path, report, patience, cancel).await,
        }
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    async fn serve(driver: Arc<dyn Driver>, report: &Reporter, patience: Patience) -> Result<Self, EngineError> {
        let server = Server::bind(driver, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let stream = LogStream::open();
        let client = Client::new(server.address()).with_log_id(stream.id());
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve(stop.clone()));
        let report = report.clone();
        let silent = CancellationToken::new();
        let ended = silent.clone();
        let logs = tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    line = stream.next() => report.tell(&Event::Driver(line)),
                    () = ended.cancelled() => return,
                }
            }
        });
        Ok(Self {
            client,
            patience,
            kind: Kind::InProcess {
                stop,
                serving,
                logs: (silent, logs),
            },
        })
    }

    async fn spawn(
        path: &Path,
        report: &Reporter,
        patience: Patience,
        cancel: &CancellationToken,
    ) -> Result<Self, EngineError> {
        for _ in 1..PORTS {
            let address = free_address(path).await?;
            match Self::spawn_on(address, path, report, patience, cancel).await {
                // It ended, and somebody answers on its port: that one was quicker.
                Err(EngineError::Ended { .. }) if TcpStream::connect(address).await.is_ok() => {
                    report.info(format!(
                        "port {} was taken meanwhile, trying another one",
                        address.port()
                    ));
                }
                other => return other,
            }
        }
        let address = free_address(path).await?;
        Self::spawn_on(address, path, report, patience, cancel).await
    }

    async fn spawn_on(
        address: SocketAddr,
        path: &Path,
        report: &Reporter,
        patience: Patience,
        cancel: &CancellationToken,
    ) -> Result<Self, EngineError> {
        let mut process = Process::spawn(path, address.port(), report)?;
        let client = Client::new(address);
        let up = tokio::select! {
            biased;
            error = process.ended() => return Err(error),
            () = cancel.cancelled() => Err(None),
            up = answers(&client, patience.start) => up.map_err(Some),
        };
        match up {
            Ok(()) => Ok(Self {
                client,
                patience,
                kind: Kind::Process(Box::new(process)),
            }),
            Err(last) => {
                let error = match last {
                    None => EngineError::Cancelled,
                    Some(last) => EngineError::Silent {
                        driver: path.display().to_string(),
                        within: patience.start,
                        last,
                        tail: process.tail(),
                    },
                };
                process.stop(patience.stop).await;
                Err(error)
            }
        }
    }

    /// Does `work` with the driver, unless the driver ends before. When `cancel` comes, the driver is asked to stop; what
    /// it answers then is still taken.
    pub(super) async fn supervise<T>(
        &mut self,
        work: impl Future<Output = Result<T, EngineError>>,
        cancel: &CancellationToken,
    ) -> Result<T, EngineError> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return self.explained(done).await,
            () = cancel.cancelled() => {}
        }
        self.terminate();
        match tokio::time::timeout(self.patience.stop, work).await {
            Ok(Ok(done)) => Ok(done),
            _ => Err(EngineError::Cancelled),
        }
    }

    /// A call that was cut off because the driver's process ended is told as that.
    async fn explained<T>(&mut self, done: Result<T, EngineError>) -> Result<T, EngineError> {
        let source = match &done {
            Err(EngineError::Call { source, .. } | EngineError::Capabilities(source)) => Some(source),
            _ => None,
        };
        let cut_off = matches!(source, Some(ClientError::Rpc { .. }));
        match &mut self.kind {
            Kind::Process(process) if cut_off => {
                match tokio::time::timeout(Duration::from_secs(1), process.ended()).await {
                    Ok(ended) => Err(ended),
                    Err(_) => done,
                }
            }
            _ => done,
        }
    }

    fn terminate(&self) {
        match &self.kind {
            Kind::Process(process) => process.terminate(),
            Kind::InProcess { stop, .. } => stop.cancel(),
        }
    }

    /// Ends the driver.
    pub(super) async fn stop(self) {
        let Self { client, patience, kind } = self;
        drop(client);
        match kind {
            Kind::Process(process) => process.stop(patience.stop).await,
            Kind::InProcess {
                stop,
                mut serving,
                logs,
            } => {
                stop.cancel();
                if tokio::time::timeout(patience.stop, &mut serving).await.is_err() {
                    serving.abort();
                }
                logs.0.cancel();
                let _ = logs.1.await;
            }
        }
    }
}

/// A port that is free now.
async fn free_address(path: &Path) -> Result<SocketAddr, EngineError> {
    let found = async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        listener.local_addr()
    };
    found.await.map_err(|source| EngineError::Start {
        path: path.to_path_buf(),
        source,
    })
}

/// Asks until the driver answers, or `within` is over: then the last error.
async fn answers(client: &Client, within: Duration) -> Result<(), ClientError> {
    let begun = tokio::time::Instant::now();
    let mut waits = Backoff::new(Duration::from_millis(5), Duration::from_secs(1)).factor(1.6);
    loop {
        let asked = tokio::time::timeout(PROBE.min(within), client.capabilities()).await;
        let error = match asked {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => ClientError::Rpc {
                code: tonic::Code::DeadlineExceeded,
                message: "no answer".to_owned(),
            },
        };
        if begun.elapsed() >= within {
            return Err(error);
        }
        tokio::time::sleep(waits.next().unwrap_or(PROBE)).await;
    }
}
