//! Runs one call of a driver: in a task of its own, so that a panic ends the call and not the process, and cancelled when
//! nobody waits for its answer any more.

use tokio::task::{AbortHandle, JoinError};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Response, Status};

use super::GRACE;
use crate::call::Call;
use crate::error::DriverError;

/// The longest error text that is answered, in bytes. It travels percent-encoded in a header, and clients accept 16 KiB of
/// these.
const MAX_ERROR_BYTES: usize = 4096;

/// Cancels the call when the caller goes away, which drops the future that holds this. A driver that does not stop by
/// itself is dropped at its next suspension point after the grace time.
struct Caller {
    call: CancellationToken,
    task: AbortHandle,
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.call.cancel();
        if self.task.is_finished() {
            return;
        }
        let task = self.task.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(GRACE).await;
                task.abort();
            });
        }
    }
}

/// Runs `work`, named `method` in messages, with a call that ends with `cancel`.
pub(super) async fn run<T, F>(
    method: &'static str,
    call: Call,
    work: impl FnOnce(Call) -> F + Send + 'static,
) -> Result<Response<T>, Status>
where
    T: Send + 'static,
    F: Future<Output = Result<T, DriverError>> + Send + 'static,
{
    let cancel = call.cancellation().clone();
    let mut task = tokio::spawn(async move {
        // The driver's function is called inside the task, so that a panic before its first suspension is caught as well.
        work(call).await
    });
    let caller = Caller {
        call: cancel.clone(),
        task: task.abort_handle(),
    };
    let given_up = async {
        cancel.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let done = tokio::select! {
        done = &mut task => done,
        () = given_up => {
            task.abort();
            return Err(Status::new(Code::Unavailable, "the driver is stopping and the call did not end in time"));
        }
    };
    drop(caller);
    answer(method, done)
}

fn answer<T>(method: &'static str, done: Result<Result<T, DriverError>, JoinError>) -> Result<Response<T>, Status> {
    match done {
        Ok(Ok(answer)) => Ok(Response::new(answer)),
        Ok(Err(error)) => {
            let text = shortened(error.text());
            tracing::warn!("{method} failed: {text}");
            Err(Status::new(Code::Unknown, text))
        }
        Err(broken) if broken.is_panic() => {
            tracing::error!("the driver panicked in {method}");
            // The panic's own text may show anything: it stays in the log.
            Err(Status::new(
                Code::Unknown,
                format!("the driver panicked in {method}; its log has the details"),
            ))
        }
        Err(_) => Err(Status::new(Code::Unavailable, format!("{method} was given up"))),
    }
}

fn shortened(mut text: String) -> String {
    if text.is_empty() {
        return "the driver failed without saying why".to_owned();
    }
    if text.len() > MAX_ERROR_BYTES {
        text.truncate(text.floor_char_boundary(MAX_ERROR_BYTES));
        text.push_str(" …");
    }
    text
}
