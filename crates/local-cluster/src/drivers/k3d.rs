//! k3s in containers, made by k3d.
//!
//! What k3d says is not trusted: only its listing without a name fails honestly when the engine is down, so that is what
//! decides, before and after everything else. It never touches the user's kubeconfig, and its output is stripped of the
//! cluster's token.

mod listing;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::config::{self, ClusterConfig};
use crate::driver::{Deadlines, Driver, EntryNames, Phase, Sight};
use crate::drivers::engine::{self, Engine};
use crate::error::{Error, Fault};
use crate::host::Host;
use crate::needs::Needs;
use crate::ports;
use crate::profile;
use crate::record;
use crate::settings::{Applies, Setting, Settings};
use crate::status::Found;
use crate::tool::{Spec, Tool, json_array};
use listing::Cluster;

static K3D: Spec = Spec {
    program: "k3d",
    advice: "install k3d (https://k3d.io), or use the driver sim, which needs nothing",
    // k3d takes every flag from K3D_ variables too; these few are meant for the environment.
    hidden: |name| {
        name == "KUBECONFIG"
            || (name.starts_with("K3D_")
                && ![
                    "K3D_IMAGE_",
                    "K3D_HELPER_IMAGE_TAG",
                    "K3D_FIX_",
                    "K3D_LOG_NODE_WAIT_LOGS",
                    "K3D_DEBUG_",
                ]
                .iter()
                .any(|meant| name.starts_with(meant)))
    },
    set: &[("LOG_COLORS", "false")],
};

/// The longest name k3d takes.
const LONGEST_NAME: usize = 32;

/// One cluster of k3d.
pub struct K3d {
    host: Arc<Host>,
    profile: String,
    /// For questions: no logs on standard output.
    quiet: Tool,
    /// For changes: progress.
    loud: Tool,
    docker: Engine,
}

impl K3d {
    /// The cluster of this name.
    ///
    /// # Errors
    /// [`Error::InvalidProfile`].
    pub fn new(host: &Arc<Host>, profile: &str) -> Result<Self, Error> {
        profile::check(profile)?;
        profile::no_longer_than(profile, LONGEST_NAME)?;
        if profile.starts_with("k3d-") {
            host.events.warn(format!(
                "k3d itself puts k3d- before names: this is the cluster with the context k3d-{profile}"
            ));
        }
        let scratch = host.scratch(&format!("k3d-{profile}"));
        let tool = Tool::new(host, &K3D)
            .with("KUBECONFIG", scratch)
            .working_on("k3d", profile);
        Ok(Self {
            host: Arc::clone(host),
            profile: profile.to_owned(),
            quiet: tool.clone().with("LOG_LEVEL", "warn"),
            loud: tool.with("LOG_LEVEL", "info"),
            docker: Engine::named(host, "docker"),
        })
    }

    async fn clusters(&self) -> Result<Vec<Cluster>, Error> {
        let output = self.quiet.ask(&["cluster", "list", "-o", "json"]).await?;
        let output = output.success().map_err(|error| match error.fault() {
            Some(Fault::Broken) => error.advise(
                "a container of a k3d cluster runs without a network, which breaks every k3d command: find it with \
                 docker ps --filter label=app=k3d and remove it with docker rm -f",
            ),
            _ => error,
        })?;
        json_array(&output.stdout).ok_or_else(|| output.unreadable("the JSON of k3d cluster list"))
    }

    /// A port for the API server that nobody has, noted as this cluster's.
    async fn port(&self) -> Result<u16, Error> {
        ports::choose(&self.host, |[port]| {
            // Where the engine is elsewhere, it is a port of another machine.
            if !engine::is_remote(&self.host) {
                record::claim(&self.host, "k3d", &self.profile, port);
            }
            Ok(port)
        })
        .await
    }

    async fn create_on(&self, config: &config::K3d, port: u16, limit: Duration) -> Result<(), Error> {
        let remote = engine::is_remote(&self.host);
        // k3d ends a little earlier than we end it, so that it can clean up.
        let args = plan::create(&self.profile, config, port, remote, limit.mul_f64(0.9));
        self.loud.change(&args, limit).await?.success().map(drop)
    }
}

#[async_trait]
impl Driver for K3d {
    fn name(&self) -> &'static str {
        "k3d"
    }

    fn profile(&self) -> &str {
        &self.profile
    }

    fn names(&self) -> EntryNames {
        let name = format!("k3d-{}", self.profile);
        EntryNames {
            user: format!("admin@{name}"),
            cluster: name.clone(),
            context: name,
        }
    }

    fn deadlines(&self) -> Deadlines {
        Deadlines {
            start: Duration::from_mins(5),
            stop: Duration::from_mins(1),
            destroy: Duration::from_mins(2),
        }
    }

    fn wants(&self, config: &ClusterConfig) -> Result<Settings, Error> {
        plan::wants(config.k3d.as_ref().ok_or(Error::MissingDriverConfig("k3d"))?)
    }

    fn creation_defaults(&self) -> Settings {
        let seen = [("servers", "1"), ("agents", "0"), ("noLoadBalancer", "false")]
            .map(|(field, value)| (field.to_owned(), Setting::plain(value)));
        plan::unseen_defaults().into_iter().chain(seen).collect()
    }

    fn needs(&self, config: &ClusterConfig) -> Needs {
        let config = config.k3d.clone().unwrap_or_default();
        Needs {
            engine: Some("docker"),
            // The ports of an engine elsewhere are not ours to look at.
            ports: if engine::is_remote(&self.host) {
                Vec::new()
            } else {
                plan::host_ports(&config)
            },
            memory: plan::memory(&config),
            disk: true,
            ..Needs::default()
        }
    }

    fn applies(&self, _field: &str, _have: &Setting, _want: &Setting) -> Applies {
        Applies::Recreate
    }

    async fn look(&self) -> Result<Sight, Error> {
        let clusters = self.clusters().await?;
        let ours = clusters.iter().find(|cluster| cluster.name == self.profile);
        Ok(ours.map_or_else(|| Sight::of(Phase::Absent), Cluster::sight))
    }

    async fn look_closer(&self, sight: &mut Sight) {
        // The listing has the image's ID only.
        let server = format!("k3d-{}-server-0", self.profile);
        match self.docker.inspect(&[server]).await {
            Ok(containers) => {
                if let Some(server) = containers.first() {
                    let image = &server.config.image;
                    sight
                        .settings
                        .insert("image".to_owned(), Setting::plain(plan::canonical_image(image)));
                    if sight.version.is_empty() {
                        sight.version = plan::version_of_image(image).unwrap_or_default();
                    }
                }
            }
            Err(error) => {
                self.host
                    .events
                    .warn(format!("the image of the nodes cannot be told: {}", kit::chain(&error)));
            }
        }
    }

    async fn create(&self, config: &ClusterConfig, limit: Duration) -> Result<(), Error> {
        let config = config.k3d.as_ref().ok_or(Error::MissingDriverConfig("k3d"))?;
        if let Some(port) = config.api_port {
            return self.create_on(config, port, limit).await;
        }
        match self.create_on(config, self.port().await?, limit).await {
            // It was free a moment ago, and nobody asked for this one.
            Err(error) if error.fault() == Some(Fault::PortInUse) && !self.look().await?.exists() => {
                self.host.events.detail("the port was taken meanwhile: try another");
                self.create_on(config, self.port().await?, limit).await
            }
            outcome => outcome,
        }
    }

    async fn resume(&self, _sight: &Sight, _config: &ClusterConfig, limit: Duration) -> Result<(), Error> {
        let timeout = format!("{}s", limit.mul_f64(0.9).as_secs().max(1));
        self.loud
            .change(
                &["cluster", "start", &self.profile, "--wait", "--timeout", &timeout],
                limit,
            )
            .await?
            .success()?;
        Ok(())
    }

    async fn halt(&self, _sight: &Sight, limit: Duration) -> Result<(), Error> {
        self.loud
            .change(&["cluster", "stop", &self.profile], limit)
            .await?
            .success()
            .map(drop)
    }

    async fn remove(&self, _sight: &Sight, limit: Duration) -> Result<(), Error> {
        self.loud
            .change(&["cluster", "delete", &self.profile], limit)
            .await?
            .success()
            .map(drop)
    }

    async fn kubeconfig(&self) -> Result<String, Error> {
        Ok(self
            .quiet
            .ask(&["kubeconfig", "get", &self.profile])
            .await?
            .success()?
            .stdout)
    }

    async fn all(&self) -> Result<Vec<Found>, Error> {
        Ok(self.clusters().await?.iter().map(Cluster::found).collect())
    }
}
