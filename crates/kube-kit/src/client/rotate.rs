//! Tokens and certificates that are replaced while the process runs.
//!
//! kubelet renews a pod's token every hour, cluster administrators replace authorities and client certificates. `kube`
//! reads some of these files once a minute and others never again. Here all of them are looked at every ten seconds, and
//! at once when the API server refuses the token or cannot be trusted; when any has changed, later requests go over new
//! connections with what the files hold now. What is under way, watches among it, goes on as it began.

use std::future::Future;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use tokio::time::Instant;
use tower::{BoxError, Service};
use tracing::{info, warn};

use super::ClientError;
use crate::fence::Fence;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Which files a client is made from.
pub(super) type Files = Box<dyn Fn() -> Vec<PathBuf> + Send + Sync>;
/// Makes a client from what they hold now.
pub(super) type Make = Box<dyn Fn() -> BoxFuture<'static, Result<Client, ClientError>> + Send + Sync>;

/// A client that is made anew when its files change. Clones share it.
#[derive(Clone)]
pub(super) struct Rotating(Arc<Inner>);

struct Inner {
    files: Files,
    make: Make,
    /// Asked right before each sending: whatever was waited for before it, the lease may have been lost meanwhile.
    fence: Fence,
    current: Mutex<Current>,
    /// Held by the one who makes a new client.
    renewing: tokio::sync::Mutex<()>,
}

struct Current {
    client: Client,
    /// How many there were before it.
    generation: u64,
    digest: u64,
    looked: Instant,
}

impl Rotating {
    /// Makes the first client.
    pub async fn new(files: Files, make: Make, fence: Fence) -> Result<Self, ClientError> {
        // Before they are read, so that a change in between is found at the next look.
        let digest = digest(&files());
        let current = Current {
            client: make().await?,
            generation: 0,
            digest,
            looked: Instant::now(),
        };
        Ok(Self(Arc::new(Inner {
            files,
            make,
            fence,
            current: Mutex::new(current),
            renewing: tokio::sync::Mutex::default(),
        })))
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client to use now, and its generation.
    async fn client(&self) -> (Client, u64) {
        let (generation, due) = {
            let current = self.current();
            (current.generation, current.looked.elapsed() >= LOOK)
        };
        if due {
            self.renew(generation).await;
        }
        let current = self.current();
        (current.client.clone(), current.generation)
    }

    /// Makes a new client if the files have changed since the one of this generation. Files that are gone or make no
    /// sense change nothing: who writes them may be in the middle of it. Whether there is a newer one.
    async fn renew(&self, generation: u64) -> bool {
        let _one = self.0.renewing.lock().await;
        let known = {
            let mut current = self.current();
            if current.generation != generation {
                // Somebody else did it meanwhile.
                return true;
            }
            current.looked = Instant::now();
            current.digest
        };
        let now = digest(&(self.0.files)());
        if now == known {
            return false;
        }
        match (self.0.make)().await {
            Ok(client) => {
                info!("the credentials of the API server's client have changed; using the new ones");
                let mut current = self.current();
                (current.digest, current.client) = (now, client);
                current.generation += 1;
                true
            }
            Err(error) => {
                warn!(error = %kit::chain(&error), "cannot use the new credentials; going on with the old ones");
                false
            }
        }
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let (parts, body) = request.into_parts();
        // Small, as all that is sent here: kept for a second try.
        let body = body.collect_bytes().await?;
        let again = Request::from_parts(parts.clone(), Body::from(body.clone()));
        let reads = parts.method == Method::GET;
        let (client, generation) = self.client().await;
        self.0.fence.admit(&parts.method)?;
        let answer = client.send(Request::from_parts(parts, Body::from(body))).await;
        let retry = match &answer {
            // Nothing was done.
            Ok(answer) => answer.status() == StatusCode::UNAUTHORIZED,
            // Nobody knows what was done.
            Err(_) => reads,
        };
        let worth_a_look = retry || answer.is_err();
        if worth_a_look && self.renew(generation).await && retry {
            let client = self.current().client.clone();
            self.0.fence.admit(again.method())?;
            return Ok(client.send(again).await?);
        }
        Ok(answer?)
    }
}

/// What the files hold, in a number: none of it is kept.
fn digest(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).ok().hash(&mut hasher);
    }
    hasher.finish()
}

impl Service<Request<Body>> for Rotating {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

#[cfg(test)]
mod tests;
