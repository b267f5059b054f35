//! What a driver knows about the call it is serving.

use std::time::Duration;

use kit::Clock;
use tokio_util::sync::CancellationToken;

use crate::error::DriverError;
use crate::logstream::{Level, LogSink};

/// The context of one call: whether somebody still waits for the answer, and where to say how it goes.
#[derive(Clone, Debug)]
pub struct Call {
    cancel: CancellationToken,
    sink: Option<LogSink>,
}

impl Call {
    /// A call that ends with `cancel` and logs to `sink`, or to `tracing` when there is none.
    pub fn new(cancel: CancellationToken, sink: Option<LogSink>) -> Self {
        Self { cancel, sink }
    }

    /// A call that nobody cancels and that logs to `tracing`: for tests and for using a driver directly.
    pub fn detached() -> Self {
        Self::new(CancellationToken::new(), None)
    }

    /// Cancelled when the caller goes away or the server stops.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Whether the caller went away or the server is stopping.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Returns when the caller goes away or the server stops.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Waits, but not longer than somebody waits for the answer.
    pub async fn sleep(&self, clock: &Clock, duration: Duration) -> Result<(), DriverError> {
        self.run(clock.sleep(duration)).await
    }

    /// Runs `work`, but not longer than somebody waits for the answer. Work that is given up is dropped at its next
    /// suspension point.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, DriverError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(DriverError::cancelled()),
            done = work => Ok(done),
        }
    }

    /// Says how it goes.
    pub fn info(&self, message: impl Into<String>) {
        self.log(Level::Info, message.into());
    }

    /// Says that something is not as it should be.
    pub fn warn(&self, message: impl Into<String>) {
        self.log(Level::Warn, message.into());
    }

    /// Says what only somebody who debugs the driver wants to know.
    pub fn debug(&self, message: impl Into<String>) {
        self.log(Level::Debug, message.into());
    }

    /// Says that another part of the work begins, in a few words: `waiting for the control plane`.
    pub fn step(&self, name: impl Into<String>) {
        self.log(Level::Step, name.into());
    }

    fn log(&self, level: Level, message: String) {
        if let (Some(sink), true) = (&self.sink, level != Level::Debug) {
            return sink.send(level, message);
        }
        match level {
            Level::Debug => tracing::debug!("{message}"),
            Level::Info => tracing::info!("{message}"),
            Level::Warn => tracing::warn!("{message}"),
            Level::Step => tracing::info!(step = true, "{message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_call_stops_waiting_at_once() {
        let call = Call::detached();
        let before = tokio::time::Instant::now();
        call.cancellation().cancel();
        let error = call.sleep(&Clock::system(), Duration::from_hours(1)).await.unwrap_err();
        assert_eq!(error.class(), kit::Class::Transient);
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}
