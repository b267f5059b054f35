//! Who announces the addresses of Services, and when they are announced anew.
//!
//! ```text
//! Service ensured, hosts changed ─► its nodes speak ─► announced
//! node changed, every minute ─────► nodes speak ─────► announced again, where other nodes speak than were told
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud_provider::announcers::metallb::{ConfigMap, Mode, Names, Resources};
use cloud_provider::announcers::{AnnounceError, Announcement, Announcer, Silent};
use cloud_provider::controllers::service::stable_nodes;
use cloud_provider::data::{Address, AddressType, Node, Service};
use cloud_provider::helpers::Cidr;
use cloud_provider::{CloudError, Context};
use kube_kit::Change;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, RwLock, RwLockReadGuard};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::bgp::{Bgp, BgpError, BgpSettings, Spoken, is_foreign};
use crate::client::MetalClient;
use crate::config::{BackEnd, Config};
use crate::load_balancers::{Running, is_control_plane, tell_nobody_selected};

/// How often nodes are looked after although nothing happened.
const REFRESH: Duration = Duration::from_mins(1);
/// How often everything is announced anew although nothing happened.
const WHOLE: Duration = Duration::from_mins(30);
/// How long to wait for more nodes to change.
const LINGER: Duration = Duration::from_secs(1);

/// What is announced, and by whom.
pub(super) struct Announcing {
    config: Arc<Config>,
    bgp: Bgp,
    announcer: Arc<dyn Announcer>,
    /// What is announced, by Service.
    known: Mutex<BTreeMap<String, Known>>,
    /// Read by whoever works on one Service, written by whoever announces one again.
    gate: RwLock<()>,
}

#[derive(Clone)]
struct Known {
    service: Service,
    addresses: Vec<Cidr>,
    /// What was told about the nodes that speak.
    told: [u8; 32],
    /// Whether a node could not be asked, so that the announcement may be incomplete.
    incomplete: bool,
}

/// Which nodes changed since somebody looked.
#[derive(Default)]
struct Changed {
    /// Those that are to be asked about anew: they may speak BGP from elsewhere.
    moved: Mutex<BTreeSet<String>>,
    notify: Notify,
}

impl Announcing {
    pub fn new(client: &MetalClient, config: &Arc<Config>, back_end: &BackEnd, context: &Context) -> Self {
        let kube = || context.client.clone();
        let names = Names::new("equinix-metal", "metal.equinix.com", "equinix-metal-bgp-adv");
        let announcer: Arc<dyn Announcer> = match back_end {
            BackEnd::MetalLbConfigMap { namespace, name } => {
                Arc::new(ConfigMap::new(kube(), namespace, name, names, Mode::Bgp))
            }
            BackEnd::MetalLbResources { namespace } => Arc::new(Resources::new(kube(), namespace, names, Mode::Bgp)),
            BackEnd::KubeVip | BackEnd::Empty | BackEnd::Emlb { .. } => Arc::new(Silent),
        };
        let settings = BgpSettings {
            local_asn: config.local_asn,
            password: config.bgp_pass.clone(),
            annotations: config.annotations.clone(),
        };
        info!("loadbalancer implementation enabled: {}", back_end.name());
        Self {
            config: Arc::clone(config),
            bgp: Bgp::new(client.clone(), settings),
            announcer,
            known: Mutex::default(),
            gate: RwLock::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held while a Service is worked on: it is not announced again meanwhile.
    pub async fn working(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// Whether addresses could be announced.
    pub async fn check(&self) -> Result<(), AnnounceError> {
        self.announcer.check().await
    }

    /// The Services that something is announced for, as the announcer remembers them.
    pub async fn announced(&self) -> Result<BTreeSet<String>, AnnounceError> {
        self.announcer.announced().await
    }

    /// What is announced for a Service, if this process did.
    pub fn addresses(&self, service: &Service) -> Option<Vec<Cidr>> {
        let known = self.known();
        let known = known.get(&service.key())?;
        (known.service.uid == service.uid).then(|| known.addresses.clone())
    }

    /// How many Services' addresses are announced.
    pub fn count(&self) -> usize {
        self.known().len()
    }

    /// Makes the project speak BGP; how many prefixes a session may announce.
    pub async fn enable(&self) -> Result<u32, CloudError> {
        self.bgp.enable_project().await.map_err(bgp_failed)
    }

    /// Makes the selected nodes speak BGP, and has the addresses announced by them.
    pub async fn announce(
        &self,
        running: &Running,
        service: &Service,
        addresses: Vec<Cidr>,
        nodes: &[Arc<Node>],
    ) -> Result<(), CloudError> {
        let selected = self.selected(nodes);
        if selected.is_empty() && !nodes.is_empty() {
            tell_nobody_selected(running, service, nodes.len());
        }
        let spoken = self.speak(running, &selected).await;
        self.announce_from(service, addresses, &spoken).await?;
        // With some nodes it works; the others are tried again soon. With none it does not.
        match spoken.failures.last() {
            Some((_, error)) if spoken.speakers.is_empty() => {
                Err(CloudError::new(error.class(), "no node speaks BGP").because(Arc::clone(error)))
            }
            _ => Ok(()),
        }
    }

    fn selected(&self, nodes: &[Arc<Node>]) -> Vec<Arc<Node>> {
        nodes.iter().filter(|node| self.is_selected(node)).cloned().collect()
    }

    fn is_selected(&self, node: &Node) -> bool {
        self.config.bgp_nodes.matches(&node.labels) && !is_foreign(node)
    }

    async fn speak(&self, running: &Running, selected: &[Arc<Node>]) -> Spoken {
        let spoken = self.bgp.speak(&running.context.client, selected).await;
        for (node, error) in &spoken.failures {
            let text = kit::chain(&**error);
            warn!(node = %node.name, "{text}");
            running.recorder.warning(&node.reference(), "BGPSessionFailed", text);
        }
        spoken
    }

    async fn announce_from(&self, service: &Service, addresses: Vec<Cidr>, spoken: &Spoken) -> Result<(), CloudError> {
        let announcement = Announcement {
            service,
            addresses: addresses.clone(),
            speakers: spoken.speakers.clone(),
            unknown: spoken.unknown.clone(),
        };
        self.announcer.announce(&announcement).await?;
        let known = Known {
            service: service.clone(),
            addresses,
            told: digest(spoken),
            incomplete: !spoken.failures.is_empty(),
        };
        self.known().insert(service.key(), known);
        Ok(())
    }

    /// Announces nothing for a Service any more.
    pub async fn withdraw(&self, service: &Service) -> Result<(), AnnounceError> {
        self.forget(service);
        self.announcer.withdraw(service).await
    }

    /// Forgets what was announced for a Service.
    pub fn forget(&self, service: &Service) {
        self.known().remove(&service.key());
    }

    /// After the last Service nodes say nothing about BGP any more.
    pub async fn fall_silent(&self, running: &Running, gone: &Service) -> Result<(), CloudError> {
        let wants = |service: &Service| {
            service.kind == "LoadBalancer" && service.class.is_none() && !service.deleting && !is_control_plane(service)
        };
        let services = running.context.services.list();
        if services.iter().any(|service| service.uid != gone.uid && wants(service)) {
            return Ok(());
        }
        let nodes = running.context.nodes.list();
        match self.bgp.fall_silent(&running.context.client, &nodes).await.pop() {
            Some((_, error)) => Err(bgp_failed(error)),
            None => Ok(()),
        }
    }

    /// Looks after nodes for ever, whenever one changes and every minute: those that failed are tried again, those that
    /// changed or were seen long ago are seen anew, and what came of it is announced. Nodes that are not selected any more
    /// fall silent.
    pub async fn refresh(&self, running: &Running) {
        let changed: Arc<Changed> = Arc::default();
        let noted = Arc::clone(&changed);
        running.context.nodes.on_change(move |_, change| noted.note(change));
        let mut whole = Instant::now();
        loop {
            let mut news = tokio::select! {
                () = running.context.clock.sleep(REFRESH) => false,
                () = changed.notify.notified() => true,
            };
            if news {
                running.context.clock.sleep(LINGER).await;
            }
            // Others may have changed what the announcer was told.
            let everything = whole.elapsed() >= WHOLE;
            if everything {
                whole = Instant::now();
            }
            news |= everything;
            self.look_after(running, &changed.take(), news, everything).await;
        }
    }

    async fn look_after(&self, running: &Running, moved: &BTreeSet<String>, news: bool, everything: bool) {
        let all = running.context.nodes.list();
        // Whoever is not kept is forgotten, and so asked about anew.
        let stay = all.iter().filter(|node| !moved.contains(&node.name));
        self.bgp.keep(&stay.cloned().collect::<Vec<_>>());
        if self.known().is_empty() || running.context.fence.check().is_err() {
            return;
        }
        // The project's password or number may be another one by now.
        if let Err(error) = self.enable().await {
            warn!("{}", kit::chain(&error));
        }
        let (selected, others): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|node| self.is_selected(node));
        for (node, error) in self.bgp.fall_silent(&running.context.client, &others).await {
            warn!(node = %node.name, "{}", kit::chain(&error));
        }
        let selected = stable_nodes(&selected);
        let incomplete = self.known().values().any(|known| known.incomplete);
        if news || incomplete || self.bgp.is_due(&selected) {
            let spoken = self.speak(running, &selected).await;
            self.announce_again(running, &spoken, everything).await;
        }
    }

    /// Announces those Services anew of which something else was told.
    async fn announce_again(&self, running: &Running, spoken: &Spoken, everything: bool) {
        let now = digest(spoken);
        let known = self.known().clone().into_iter();
        let behind = known.filter(|(_, known)| everything || known.told != now);
        let keys: Vec<String> = behind.map(|(key, _)| key).collect();
        for key in keys {
            // Not while a Service is being worked on: one that goes must not come back.
            let _alone = self.gate.write().await;
            let Some(known) = self.known().get(&key).cloned() else {
                continue;
            };
            let current = running.context.services.get(&key);
            let Some(current) = current.filter(|now| now.uid == known.service.uid && !now.deleting) else {
                continue;
            };
            if let Err(error) = self.announce_from(&current, known.addresses, spoken).await {
                warn!(service = %key, "cannot announce: {}", kit::chain(&error));
            }
        }
    }
}

impl Changed {
    fn note(&self, change: &Change<'_, Node>) {
        match change {
            Change::Updated { old, new } => {
                // The session is spoken from there. At first a node has none.
                let (before, now) = (private_addresses(old), private_addresses(new));
                let moved = before != now;
                if moved && !before.is_empty() {
                    self.moved().insert(new.name.clone());
                }
                let alike = old.labels == new.labels && old.annotations == new.annotations;
                if alike && !moved && old.provider_id == new.provider_id {
                    return;
                }
            }
            Change::Added(_) => {}
            Change::Deleted(_) => return,
        }
        self.notify.notify_one();
    }

    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.moved())
    }

    fn moved(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn private_addresses(node: &Node) -> Vec<&Address> {
    let private = node.addresses.iter().filter(|one| one.kind == AddressType::InternalIp);
    private.collect()
}

/// What is told about the nodes that speak, in short.
fn digest(spoken: &Spoken) -> [u8; 32] {
    let mut digest = Sha256::new();
    for speaker in &spoken.speakers {
        let password = speaker
            .password
            .as_ref()
            .map_or("", |password| password.expose_secret());
        let asn = format!("{} {}", speaker.local_asn, speaker.peer_asn);
        let texts = [&speaker.node, &speaker.host, &speaker.source, &asn, password, "\n"];
        for text in texts.into_iter().chain(speaker.peers.iter().map(String::as_str)) {
            digest.update(text);
            digest.update([0]);
        }
    }
    digest.update([1]);
    for host in &spoken.unknown {
        digest.update(host);
        digest.update([0]);
    }
    digest.finalize().into()
}

fn bgp_failed(error: BgpError) -> CloudError {
    CloudError::new(error.class(), "could not set up BGP").because(error)
}
