//! The cluster driver `rackspacespot`.
//!
//! Every change is *observe → decide → act → record*: [`observe`] reads the cloudspace and its pools, [`plan`] decides
//! without any network, the steps are carried out so that twice is once, and the outcome goes into the cluster's record.
//! Mirrors teamzuzu/rancher-rackspace-spot-driver `driver/`; where it differs, `docs/deviations.md` says why.

mod access;
mod act;
pub mod bid;
mod catalog;
mod create;
mod custom;
mod given;
mod identity;
mod import;
pub mod kubeconfig;
pub mod names;
pub mod observe;
mod offers;
mod options;
pub mod ownership;
pub mod plan;
mod post_check;
mod prices;
mod ready;
mod remove;
mod scale;
mod session;
mod shared;
pub mod state;
mod trust;
mod update;
pub mod versions;
mod wait;

use async_trait::async_trait;
use kontainer_engine::{
    Call, Capability, ClusterInfo, CreateError, Driver, DriverError, DriverFlags, K8sCapabilities,
    LoadBalancerCapabilities, OptionTable, Options,
};

pub use offers::{Offer, offers};
pub use options::option_table;
pub use prices::Prices;

use crate::Settings;
use session::Session;
use state::State;

/// The driver's name.
pub const NAME: &str = "rackspacespot";

/// Makes, changes and removes clusters on Rackspace Spot.
#[derive(Debug)]
pub struct SpotDriver {
    settings: Settings,
    table: OptionTable,
}

impl SpotDriver {
    /// A driver that reaches the world through these settings.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            table: option_table(),
        }
    }

    /// The state of a cluster that must have one, and a session for it.
    async fn open(&self, call: &Call, info: &ClusterInfo) -> Result<(State, Session), DriverError> {
        let state = State::of(info)?
            .filter(|state| !state.cloudspace.is_empty())
            .ok_or_else(no_state)?;
        let session = Session::open(&self.settings, call, state.refresh_token.clone(), &state.organization).await?;
        Ok((state, session))
    }
}

fn no_state() -> DriverError {
    DriverError::permanent(
        "no cloudspace of this cluster is known: creating it failed early, or its state was lost; create it again or import it",
    )
}

#[async_trait]
impl Driver for SpotDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn options(&self) -> &OptionTable {
        &self.table
    }

    fn capabilities(&self) -> &[Capability] {
        &[
            Capability::GetVersion,
            Capability::SetVersion,
            Capability::GetClusterSize,
            Capability::SetClusterSize,
        ]
    }

    async fn create(
        &self,
        call: &Call,
        options: &Options,
        previous: Option<ClusterInfo>,
    ) -> Result<ClusterInfo, CreateError> {
        create::create(&self.settings, call, options, previous).await
    }

    fn refused(&self, options: &Options, previous: Option<ClusterInfo>) -> Option<ClusterInfo> {
        Some(create::refused(options, previous))
    }

    async fn create_flags(&self, call: &Call) -> DriverFlags {
        shared::flags(&self.settings, call, self.table.create_flags()).await
    }

    async fn update(&self, call: &Call, info: ClusterInfo, options: &Options) -> Result<ClusterInfo, DriverError> {
        call.run(Box::pin(update::update(
            &self.settings,
            &self.table,
            call,
            info,
            options,
        )))
        .await?
    }

    async fn post_check(&self, call: &Call, info: ClusterInfo) -> Result<ClusterInfo, DriverError> {
        let check = async {
            let (state, session) = self.open(call, &info).await?;
            post_check::post_check(&session, state, info.clone()).await
        };
        call.run(Box::pin(check)).await?
    }

    async fn remove(&self, call: &Call, info: ClusterInfo) -> Result<(), DriverError> {
        call.run(remove::remove(&self.settings, call, &info)).await?
    }

    async fn version(&self, call: &Call, info: ClusterInfo) -> Result<String, DriverError> {
        let ask = async {
            let (state, session) = self.open(call, &info).await?;
            scale::version(&session, &state).await
        };
        call.run(Box::pin(ask)).await?
    }

    async fn set_version(&self, call: &Call, info: ClusterInfo, version: &str) -> Result<(), DriverError> {
        let change = async {
            let (state, session) = self.open(call, &info).await?;
            scale::set_version(&session, state, version).await
        };
        call.run(Box::pin(change)).await?
    }

    async fn cluster_size(&self, call: &Call, info: ClusterInfo) -> Result<i64, DriverError> {
        let ask = async {
            let (state, session) = self.open(call, &info).await?;
            scale::size(&session, &state).await
        };
        call.run(Box::pin(ask)).await?
    }

    async fn set_cluster_size(&self, call: &Call, info: ClusterInfo, count: i64) -> Result<(), DriverError> {
        let change = async {
            let (state, session) = self.open(call, &info).await?;
            scale::set_size(&session, &state, count).await
        };
        call.run(Box::pin(change)).await?
    }

    async fn etcd_save(&self, _: &Call, _: ClusterInfo, _: &Options, _: &str) -> Result<(), DriverError> {
        Err(DriverError::permanent(
            "ETCD backup is managed by Rackspace Spot and cannot be triggered via the driver",
        ))
    }

    async fn etcd_restore(&self, _: &Call, _: ClusterInfo, _: &Options, _: &str) -> Result<ClusterInfo, DriverError> {
        Err(DriverError::permanent(
            "ETCD restore is managed by Rackspace Spot and cannot be triggered via the driver",
        ))
    }

    async fn etcd_remove_snapshot(&self, _: &Call, _: ClusterInfo, _: &Options, _: &str) -> Result<(), DriverError> {
        Err(DriverError::permanent(
            "ETCD snapshot management is not supported by the Rackspace Spot driver",
        ))
    }

    async fn k8s_capabilities(&self, _: &Call, _: &Options) -> Result<K8sCapabilities, DriverError> {
        Ok(K8sCapabilities {
            l4_load_balancer: Some(LoadBalancerCapabilities {
                enabled: true,
                provider: "Rackspace".to_owned(),
                protocols_supported: vec!["TCP".to_owned(), "UDP".to_owned()],
                health_check_supported: true,
            }),
            node_pool_scaling_supported: true,
            ..K8sCapabilities::default()
        })
    }
}
