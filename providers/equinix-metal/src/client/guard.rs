//! Nobody changes a project without the lease.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use cloud_http::{BoxError, Transport, Withheld};
use futures::TryFutureExt as _;
use http::Request;
use http_body_util::Full;
use kube_kit::{Fence, Fenced};
use tower::{Layer as _, ServiceExt as _};

/// The fence of this process, once it is known. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Guard(Arc<OnceLock<Fence>>);

impl Guard {
    /// Makes the fence known. The first one counts.
    pub(super) fn set(&self, fence: &Fence) {
        let _ = self.0.set(fence.clone());
    }

    /// This transport behind the fence. A request that waited or is repeated is held against it each time.
    pub(super) fn before(&self, transport: Transport) -> Transport {
        let fence = Arc::clone(&self.0);
        Transport::from_service(tower::service_fn(move |request: Request<Full<Bytes>>| {
            let fence = fence.get().cloned().unwrap_or_else(Fence::open);
            let answer = fence.layer().layer(transport.clone()).oneshot(request);
            answer.map_err(|error: BoxError| match error.downcast::<Fenced>() {
                Ok(fenced) => Withheld(fenced.to_string()).into(),
                Err(error) => error,
            })
        }))
    }
}
