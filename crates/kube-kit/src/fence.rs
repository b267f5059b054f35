//! Nobody writes without the lease.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request};
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

/// The right to change things, which ends by itself unless it is renewed.
///
/// Leader election opens it for as long as no other process can hold the lease, counted on this process's own clock from
/// before the renewal was sent. A process that was stopped for a while and wakes up after its lease has passed on thus
/// finds the fence closed, whatever it was about to do. Clones share it.
#[derive(Clone, Debug)]
pub struct Fence(Arc<Mutex<Until>>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Until {
    Always,
    At(Instant),
    Closed,
}

/// A write was refused because this process does not hold the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process does not hold the lease, so it changes nothing")]
pub struct Fenced;

impl Fence {
    /// A fence that is always open, for processes that run without leader election.
    pub fn open() -> Self {
        Self(Arc::new(Mutex::new(Until::Always)))
    }

    /// A fence that is closed until the lease is won.
    pub fn closed() -> Self {
        Self(Arc::new(Mutex::new(Until::Closed)))
    }

    /// Whether writing is allowed now.
    pub fn check(&self) -> Result<(), Fenced> {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Until::Always => Ok(()),
            Until::At(until) if Instant::now() < until => Ok(()),
            Until::At(_) | Until::Closed => Err(Fenced),
        }
    }

    /// Whether a request with this method may be sent now: reading always may.
    pub(crate) fn admit(&self, method: &Method) -> Result<(), Fenced> {
        if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        self.check()
    }

    /// A layer for a Kubernetes client that lets only reads through while the fence is closed. It decides when a
    /// request comes to it, so what waits or repeats must stand in front of it, not behind.
    pub fn layer(&self) -> FenceLayer {
        FenceLayer(self.clone())
    }

    pub(crate) fn extend(&self, from: Instant, by: Duration) {
        self.set(Until::At(from + by));
    }

    pub(crate) fn close(&self) {
        self.set(Until::Closed);
    }

    fn set(&self, until: Until) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// See [`Fence::layer`].
#[derive(Clone, Debug)]
pub struct FenceLayer(Fence);

impl<S> Layer<S> for FenceLayer {
    type Service = FenceService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FenceService {
            fence: self.0.clone(),
            inner,
        }
    }
}

/// See [`Fence::layer`].
#[derive(Clone, Debug)]
pub struct FenceService<S> {
    fence: Fence,
    inner: S,
}

impl<S, B> Service<Request<B>> for FenceService<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Err(fenced) = self.fence.admit(request.method()) {
            return Box::pin(async move { Err(fenced.into()) });
        }
        let answer = self.inner.call(request);
        Box::pin(async move { answer.await.map_err(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::{ServiceExt as _, service_fn};

    async fn send(fence: &Fence, method: Method) -> Result<(), BoxError> {
        let service = fence
            .layer()
            .layer(service_fn(|_: Request<()>| async { Ok::<_, BoxError>(()) }));
        let request = Request::builder().method(method).body(()).unwrap();
        service.oneshot(request).await
    }

    #[tokio::test(start_paused = true)]
    async fn writes_pass_only_while_the_lease_lasts_and_reads_always() {
        let fence = Fence::closed();
        assert!(send(&fence, Method::PATCH).await.unwrap_err().is::<Fenced>());
        fence.extend(Instant::now(), Duration::from_secs(15));
        send(&fence, Method::PATCH).await.unwrap();
        tokio::time::advance(Duration::from_secs(15)).await;
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(send(&fence, method).await.is_err());
        }
        send(&fence, Method::GET).await.unwrap();
    }
}
