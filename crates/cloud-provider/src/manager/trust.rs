//! Whom the secure port believes besides tokens: authorities of people, authorities of proxies, and what proxies may say.
//! Flags say it, or else the cluster, in the ConfigMap that its API servers keep for their extensions.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kit::Backoff;
use kube::{Api, Client};
use tracing::{debug, warn};

use super::auth::RequestHeaders;
use super::flags::Parsed;

const NAMESPACE: &str = "kube-system";
const MAP: &str = "extension-apiserver-authentication";
/// How often the cluster is asked again: authorities are replaced now and then.
const EVERY: Duration = Duration::from_mins(1);
/// How soon the cluster is asked again that has not answered yet.
const FIRST: Duration = Duration::from_secs(1);

/// The authorities that the cluster names, as PEM, for what no flag says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Authorities {
    pub clients: Option<String>,
    pub proxies: Option<String>,
}

/// What is believed now. Clones share it.
#[derive(Clone)]
pub(crate) struct Trust(Arc<Inner>);

struct Inner {
    asks: bool,
    own_clients: bool,
    own_proxies: bool,
    tolerates: bool,
    now: RwLock<Now>,
}

struct Now {
    authorities: Authorities,
    headers: RequestHeaders,
    /// Whether the cluster has said it.
    told: bool,
}

impl Trust {
    /// What the flags say, and nothing yet of what they leave to the cluster.
    pub fn new(flags: &Parsed) -> Self {
        let own_clients = flags.optional("client-ca-file").is_some();
        let own_proxies = flags.optional("requestheader-client-ca-file").is_some();
        let headers = RequestHeaders {
            allowed: flags.list("requestheader-allowed-names"),
            user: flags.list("requestheader-username-headers"),
            groups: flags.list("requestheader-group-headers"),
        };
        Self(Arc::new(Inner {
            asks: !(flags.bool("authentication-skip-lookup") || own_clients && own_proxies),
            own_clients,
            own_proxies,
            // Whoever brings an authority of his own does not depend on the cluster's.
            tolerates: own_clients || flags.bool("authentication-tolerate-lookup-failure"),
            now: RwLock::new(Now {
                authorities: Authorities::default(),
                headers,
                told: false,
            }),
        }))
    }

    /// Asks the cluster once, before anything is served. Fails when it says no, unless that is to be tolerated. One that
    /// does not answer comes back: until then a process that serves nothing would only be started again and again.
    pub async fn begin(&self, client: &Client) -> Result<(), kube::Error> {
        match self.ask(client).await {
            Err(error) if self.0.tolerates || kube_kit::retry::class(&error).is_temporary() => {
                let error = kit::chain(&error);
                warn!(
                    error,
                    "client certificates and proxies that only the cluster knows are not accepted yet"
                );
                Ok(())
            }
            result => result,
        }
    }

    /// Goes on asking, for as long as it is waited for.
    pub async fn follow(self, client: Client) {
        if !self.0.asks {
            return;
        }
        let mut waits = Backoff::new(FIRST, EVERY).jitter(0.2);
        loop {
            let known = self.read(|now| now.told);
            let wait = if known { None } else { waits.next() };
            tokio::time::sleep(wait.unwrap_or(EVERY)).await;
            if let Err(error) = self.ask(&client).await {
                debug!(error = %kit::chain(&error), "cannot read the cluster's authorities");
            }
        }
    }

    /// The authorities of the cluster, where they count.
    pub fn authorities(&self) -> Authorities {
        self.read(|now| now.authorities.clone())
    }

    /// What proxies may say.
    pub fn headers(&self) -> RequestHeaders {
        self.read(|now| now.headers.clone())
    }

    async fn ask(&self, client: &Client) -> Result<(), kube::Error> {
        if !self.0.asks {
            return Ok(());
        }
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
        let mut data = maps.get(MAP).await?.data.unwrap_or_default();
        let list = |name: &str| -> Vec<String> {
            let text = data.get(name).map_or("[]", String::as_str);
            serde_json::from_str(text).unwrap_or_default()
        };
        // All of it from one place: an authority goes with the names it vouches for.
        let headers = (!self.0.own_proxies).then(|| RequestHeaders {
            allowed: list("requestheader-allowed-names"),
            user: list("requestheader-username-headers"),
            groups: list("requestheader-group-headers"),
        });
        let mut now = self.0.now.write().unwrap_or_else(PoisonError::into_inner);
        now.told = true;
        now.authorities = Authorities {
            clients: data.remove("client-ca-file").filter(|_| !self.0.own_clients),
            proxies: data
                .remove("requestheader-client-ca-file")
                .filter(|_| !self.0.own_proxies),
        };
        if let Some(headers) = headers {
            now.headers = headers;
        }
        Ok(())
    }

    fn read<T>(&self, look: impl FnOnce(&Now) -> T) -> T {
        look(&self.0.now.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use cloud_sim::Cut;
    use kube_kit::Fence;
    use serde_json::json;

    use super::*;
    use crate::testing::{World, minutes};

    fn trust(args: &[&str]) -> Trust {
        Trust::new(&Parsed::parse("ccm", args.iter().map(|arg| (*arg).to_owned())).unwrap())
    }

    fn client(world: &World) -> Client {
        world.client_as(world.sim.admin_token(), &Fence::open())
    }

    /// What the cluster says: `pem` is the authority of both.
    fn say(world: &World, pem: &str) {
        let data = json!({
            "client-ca-file": pem, "requestheader-client-ca-file": pem,
            "requestheader-allowed-names": "[\"front\"]", "requestheader-username-headers": "[\"X-User\"]",
        });
        let metadata = json!({"name": MAP, "namespace": NAMESPACE});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
        world.sim.apply(map).unwrap();
    }

    fn both(clients: Option<&str>, proxies: Option<&str>) -> Authorities {
        Authorities {
            clients: clients.map(str::to_owned),
            proxies: proxies.map(str::to_owned),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_is_away_keeps_nothing_from_beginning_and_what_it_says_later_counts() {
        let (world, trust) = (World::new(), trust(&[]));
        say(&world, "one");
        world.network.cut(Cut::Before(world.network.sent() + 1));
        trust.begin(&client(&world)).await.unwrap();
        assert_eq!(trust.authorities(), both(None, None));
        assert_eq!(trust.headers().user, ["x-remote-user"]);
        tokio::spawn(trust.clone().follow(client(&world)));
        minutes(10).await;
        world.network.heal();
        minutes(2).await;
        assert_eq!(trust.authorities(), both(Some("one"), Some("one")));
        assert_eq!(
            (trust.headers().allowed, trust.headers().user),
            (vec!["front".to_owned()], vec!["X-User".to_owned()])
        );
        say(&world, "two");
        minutes(2).await;
        assert_eq!(
            trust.authorities(),
            both(Some("two"), Some("two")),
            "a new authority is followed"
        );
        world.sim.clear_requests();
        minutes(60).await;
        assert!(world.sim.requests().len() <= 60, "{}", world.sim.requests().len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_says_no_ends_it_unless_that_is_tolerated() {
        let world = World::new();
        for (args, fine) in [
            (&[][..], false),
            (&["--requestheader-client-ca-file=/p"], false),
            (&["--authentication-tolerate-lookup-failure"], true),
            (&["--authentication-skip-lookup"], true),
            (&["--client-ca-file=/c"], true),
        ] {
            assert_eq!(trust(args).begin(&client(&world)).await.is_ok(), fine, "{args:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn flags_win_and_what_they_leave_open_is_the_clusters() {
        let world = World::new();
        say(&world, "one");
        let (own, names) = (
            "--requestheader-client-ca-file=/p",
            "--requestheader-allowed-names=mine",
        );
        for (args, authorities, allowed) in [
            (&[][..], both(Some("one"), Some("one")), "front"),
            (&["--client-ca-file=/c"], both(None, Some("one")), "front"),
            (&[own, names], both(Some("one"), None), "mine"),
            (&["--client-ca-file=/c", own, names], both(None, None), "mine"),
        ] {
            let trust = trust(args);
            trust.begin(&client(&world)).await.unwrap();
            assert_eq!(trust.authorities(), authorities, "{args:?}");
            assert_eq!(trust.headers().allowed, [allowed], "{args:?}");
        }
    }
}
