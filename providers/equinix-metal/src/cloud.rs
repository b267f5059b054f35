//! The provider, as the manager runs it.

use std::sync::Arc;

use async_trait::async_trait;
use cloud_http::Transport;
use cloud_provider::{Cloud, CloudError, Context, Instances, LoadBalancers};
use kit::{Class, Clock};
use tracing::info;

use crate::client::{ClientSettings, MetalClient};
use crate::config::Config;
use crate::control_plane::{ControlPlane, Prober};
use crate::load_balancers::MetalLoadBalancers;
use crate::{MetalInstances, provider_id};

/// One project of Equinix Metal, for one cluster.
pub struct EquinixMetal {
    client: MetalClient,
    instances: Arc<MetalInstances>,
    load_balancers: Option<MetalLoadBalancers>,
    control_plane: Option<ControlPlane>,
}

impl EquinixMetal {
    /// The provider with this configuration, over the network unless another transport is given. Sends nothing yet.
    pub fn new(config: Config, transport: Option<Transport>, clock: &Clock) -> Result<Self, CloudError> {
        let prober = match &transport {
            Some(transport) => Prober::over(transport.clone()),
            None => Prober::network().map_err(|error| {
                CloudError::new(Class::Permanent, "set up the health checks of the control plane").because(error)
            })?,
        };
        let client = MetalClient::new(&ClientSettings {
            base_url: config.base_url.clone(),
            emlb_url: config.emlb_url.clone(),
            exchange_url: config.exchange_url.clone(),
            api_key: config.api_key.clone(),
            project: config.project.clone(),
            transport,
            clock: clock.clone(),
        })?;
        if let Some(password) = &config.bgp_pass {
            client.secrets().add(password);
        }
        let config = Arc::new(config);
        Ok(Self {
            instances: Arc::new(MetalInstances::new(client.clone())),
            load_balancers: MetalLoadBalancers::new(client.clone(), config.clone()),
            control_plane: ControlPlane::new(client.clone(), config, prober),
            client,
        })
    }

    /// The provider as the binary has it: configured by the content of `--cloud-config` and the environment.
    pub fn from_file(file: Option<&[u8]>) -> Result<Arc<dyn Cloud>, CloudError> {
        let config = Config::read(file, &|name| std::env::var(name).ok())?;
        config.log();
        Ok(Arc::new(Self::new(config, None, &Clock::system())?))
    }

    /// Its client.
    pub fn client(&self) -> &MetalClient {
        &self.client
    }
}

#[async_trait]
impl Cloud for EquinixMetal {
    fn name(&self) -> &str {
        provider_id::NAME
    }

    async fn initialize(&self, context: &Context) -> Result<(), CloudError> {
        self.client.measure(&context.metrics);
        self.client.guard(&context.fence);
        let instances = Arc::clone(&self.instances);
        context.spawn(async move { instances.read_ahead().await });
        if let Some(load_balancers) = &self.load_balancers {
            load_balancers.initialize(context).await?;
        }
        if let Some(control_plane) = &self.control_plane {
            control_plane.start(context);
        }
        info!("Initialize of cloud provider complete");
        Ok(())
    }

    fn instances(&self) -> Option<&dyn Instances> {
        Some(&*self.instances)
    }

    fn load_balancers(&self) -> Option<&dyn LoadBalancers> {
        self.load_balancers.as_ref().map(|it| it as &dyn LoadBalancers)
    }

    fn owns(&self, provider_id: &str) -> bool {
        provider_id::is_ours(provider_id)
    }
}
