//! The API servers of cloudspaces: simulated ones, made to follow the world.

mod node;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::Router;
use axum::extract::Request;
use jiff::Timestamp;
use kit::Clock;
use kube_sim::KubeSim;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::chance;
use crate::service::Service;
use crate::world::World;
use node::NodeFacts;

/// All of them but the one that calls a node lost when its kubelet falls silent: no kubelet runs on a simulated machine,
/// and its node goes when the machine does.
const CONTROLLERS: &str =
    "garbage-collector,namespace,root-ca-certificate-publisher,serviceaccount,serviceaccount-token";

/// All API servers that run.
pub(crate) struct Clusters {
    clock: Clock,
    seed: u64,
    inner: Mutex<Inner>,
    /// Signs the certificates of API servers that people's machines trust without being told to.
    authority: OnceLock<KubeSim>,
}

#[derive(Default)]
struct Inner {
    running: BTreeMap<String, Running>,
    /// Ports of API servers to come, bound early so that their addresses are known.
    listeners: BTreeMap<String, Option<std::net::TcpListener>>,
    /// Until when API servers are hosted on loopback, if they are.
    loopback: Option<CancellationToken>,
    tokens: Vec<IdToken>,
}

/// An API server that runs.
struct Running {
    kube: KubeSim,
    /// The namespace of its organization.
    namespace: String,
    /// What was last told of each node, by its name.
    nodes: BTreeMap<String, NodeFacts>,
    stop: CancellationToken,
    /// Whether its tasks were started, which takes a runtime.
    started: bool,
}

/// An id token that was given out.
#[derive(Clone)]
struct IdToken {
    token: String,
    namespace: String,
    expires: Timestamp,
}

impl Clusters {
    pub(crate) fn new(clock: Clock, seed: u64) -> Self {
        Self {
            clock,
            seed,
            inner: Mutex::default(),
            authority: OnceLock::new(),
        }
    }

    /// From now on API servers get ports of their own on 127.0.0.1, until `cancel`. Those that run start anew there.
    pub(crate) fn host_on_loopback(&self, cancel: CancellationToken) {
        self.restart();
        self.lock().loopback = Some(cancel);
    }

    /// On loopback, gives each cloudspace that is new a port as its address.
    pub(crate) fn give_addresses(&self, world: &mut World) {
        let mut inner = self.lock();
        if inner.loopback.is_none() {
            return;
        }
        inner.listeners.retain(|key, _| world.spaces.contains_key(key));
        let mut moved = false;
        for (key, space) in &mut world.spaces {
            if inner.listeners.contains_key(key) || inner.running.contains_key(key) {
                continue;
            }
            let bound = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| {
                listener.set_nonblocking(true)?;
                Ok((listener.local_addr()?, listener))
            });
            match bound {
                Ok((address, listener)) => {
                    space.address = address.to_string();
                    inner.listeners.insert(key.clone(), Some(listener));
                    moved = true;
                }
                Err(error) => tracing::warn!(%error, cloudspace = key, "no port for its API server"),
            }
        }
        drop(inner);
        if moved {
            world.touch();
        }
    }

    /// Starts and stops API servers, and brings their nodes in line.
    pub(crate) fn follow(&self, world: &World) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.running.retain(|key, running| {
            let stays = world.endpoint(key).is_some();
            if !stays {
                running.stop.cancel();
            }
            stays
        });
        for key in world.spaces.keys().filter(|key| world.endpoint(key).is_some()) {
            if !inner.running.contains_key(key) {
                let running = self.make(world, key, &inner.tokens);
                inner.running.insert(key.clone(), running);
            }
        }
        for (key, running) in &mut inner.running {
            running.kube.set_version(&format!("v{}", world.running_version(key)));
            node::follow(world, key, &running.kube, &mut running.nodes);
            if running.started {
                continue;
            }
            let Ok(runtime) = Handle::try_current() else { continue };
            running.started = true;
            let (kube, stop) = (running.kube.clone(), running.stop.clone());
            match (&inner.loopback, inner.listeners.get_mut(key).and_then(Option::take)) {
                (Some(until), Some(listener)) => {
                    let until = until.clone();
                    let signer = if world.settings.public_certificates {
                        self.public_authority().clone()
                    } else {
                        kube.clone()
                    };
                    runtime.spawn(async move {
                        tokio::select! {
                            () = until.cancelled() => stop.cancel(),
                            () = host(kube, &signer, listener, stop.clone()) => {}
                        }
                    });
                }
                _ => {
                    runtime.spawn(async move { kube.run_controllers(stop).await });
                }
            }
        }
    }

    fn make(&self, world: &World, key: &str, tokens: &[IdToken]) -> Running {
        let mut builder = KubeSim::builder()
            .clock(self.clock.clone())
            .version(&format!("v{}", world.running_version(key)))
            .seed(self.seed ^ chance::of_text(key))
            .controllers(
                CONTROLLERS
                    .parse()
                    .expect("the names are constants and every test starts a cluster"),
            )
            .host(bare(world.endpoint(key).unwrap_or_default()));
        builder = match world.settings.sa_token_delay {
            Some(delay) => builder.token_delay(delay),
            None => builder.tokens_never(),
        };
        let running = Running {
            kube: builder.build(),
            namespace: key.split('/').next().unwrap_or_default().to_owned(),
            nodes: BTreeMap::new(),
            stop: CancellationToken::new(),
            started: false,
        };
        for token in tokens.iter().filter(|token| token.namespace == running.namespace) {
            running.admit(token);
        }
        running
    }

    /// Lets the owner of an id token into the organization's API servers as an administrator, until it is over.
    pub(crate) fn note_token(&self, token: &str, namespace: &str, expires: Timestamp) {
        let mut inner = self.lock();
        let now = self.clock.now();
        inner.tokens.retain(|token| token.expires > now);
        let token = IdToken {
            token: token.to_owned(),
            namespace: namespace.to_owned(),
            expires,
        };
        for running in inner
            .running
            .values()
            .filter(|running| running.namespace == token.namespace)
        {
            running.admit(&token);
        }
        inner.tokens.push(token);
    }

    /// Stops all of them: the world is another one.
    pub(crate) fn restart(&self) {
        let mut inner = self.lock();
        for running in std::mem::take(&mut inner.running).into_values() {
            running.stop.cancel();
        }
        inner.listeners.clear();
    }

    /// Who signs for API servers when [`crate::Settings::public_certificates`] is set.
    pub(crate) fn public_authority(&self) -> &KubeSim {
        self.authority
            .get_or_init(|| KubeSim::builder().seed(self.seed).build())
    }

    pub(crate) fn ca(&self, key: &str) -> Option<String> {
        self.lock()
            .running
            .get(key)
            .map(|running| running.kube.ca_pem().to_owned())
    }

    /// By its key, or by its name alone.
    pub(crate) fn kube(&self, cloudspace: &str) -> Option<KubeSim> {
        let inner = self.lock();
        let by_name = || {
            inner
                .running
                .iter()
                .find(|(key, _)| key.rsplit('/').next() == Some(cloudspace))
        };
        let found = inner
            .running
            .get(cloudspace)
            .or_else(|| by_name().map(|(_, running)| running));
        found.map(|running| running.kube.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Clusters {
    fn drop(&mut self) {
        self.restart();
    }
}

impl Running {
    fn admit(&self, token: &IdToken) {
        self.kube
            .add_token(&token.token, "ngpc-user", &["system:masters"], Some(token.expires));
    }
}

/// Serves an API server with a certificate of `signer`'s authority, and runs its controllers.
async fn host(kube: KubeSim, signer: &KubeSim, listener: std::net::TcpListener, stop: CancellationToken) {
    let controllers = kube.run_controllers(stop.clone());
    let served = async {
        let listener = TcpListener::from_std(listener)?;
        let tls = kube_sim::serve::tls_config(signer).map_err(std::io::Error::other)?;
        cloud_sim::serve_tls(kube.router(), listener, Arc::new(tls), stop.clone()).await
    };
    if let (Err(error), ()) = tokio::join!(served, controllers) {
        tracing::warn!(%error, "an API server ended");
    }
}

/// A host without its port.
fn bare(address: &str) -> &str {
    address.split(':').next().unwrap_or(address)
}

/// The API server at `host`, as the in-process internet reaches it: it follows the world before each answer.
pub(crate) fn router_of(service: &Arc<Service>, host: &str) -> Option<Router> {
    let found = service.with(|world| {
        let (key, _) = world.spaces.iter().find(|(_, space)| space.address == host)?;
        world.endpoint(key).map(|_| key.clone())
    });
    let (key, service) = (found?, service.clone());
    let kube = service.clusters.kube(&key)?;
    Some(Router::new().fallback(move |request: Request| {
        let (key, service, kube) = (key.clone(), service.clone(), kube.clone());
        async move {
            // Catches up, and so does the API server.
            service.with(|world| world.endpoint(&key).is_some());
            match kube.router().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    }))
}
