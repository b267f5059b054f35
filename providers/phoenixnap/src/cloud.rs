//! PhoenixNAP as the controllers see it.

use std::sync::Arc;

use async_trait::async_trait;
use cloud_http::Transport;
use cloud_provider::{Cloud, CloudError, Context, Instances, LoadBalancers};
use kit::{Class, Clock};

use crate::client::{ClientSettings, PnapClient, PnapError};
use crate::config::Config;
use crate::instances::PnapInstances;
use crate::load_balancers::PnapLoadBalancers;
use crate::provider_id::{PROVIDER_NAME, ProviderId, ProviderIdError};

/// The cloud provider `phoenixnap`.
pub struct PhoenixNap {
    config: Config,
    client: PnapClient,
    instances: Arc<PnapInstances>,
    load_balancers: PnapLoadBalancers,
}

impl PhoenixNap {
    /// The cloud that `--cloud-config` and the environment describe. Sends nothing: standby replicas do this, too.
    pub fn from_config(file: Option<&[u8]>) -> Result<Self, CloudError> {
        let config = Config::read(file, |name| std::env::var(name).ok())?;
        config.tell();
        Self::new(config, None, Clock::system())
    }

    /// A cloud with this configuration. Requests go over the network unless `transport` takes them.
    pub fn new(config: Config, transport: Option<Transport>, clock: Clock) -> Result<Self, CloudError> {
        let settings = ClientSettings {
            base_url: config.base_url.clone(),
            token_url: config.token_url.clone(),
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
            transport,
            clock,
        };
        let setup = |error: PnapError| CloudError::new(Class::Invalid, "provider config error").because(error);
        let client = PnapClient::new(&settings).map_err(setup)?;
        Ok(Self {
            instances: Arc::new(PnapInstances::new(client.clone())),
            load_balancers: PnapLoadBalancers::new(&client, &config),
            config,
            client,
        })
    }

    /// For [`cloud_provider::Manager::cloud`].
    pub fn factory(file: Option<&[u8]>) -> Result<Arc<dyn Cloud>, CloudError> {
        Ok(Arc::new(Self::from_config(file)?))
    }

    /// What it was configured with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The APIs.
    pub fn client(&self) -> &PnapClient {
        &self.client
    }
}

#[async_trait]
impl Cloud for PhoenixNap {
    fn name(&self) -> &str {
        PROVIDER_NAME
    }

    async fn initialize(&self, context: &Context) -> Result<(), CloudError> {
        self.client.measure(&context.metrics);
        let instances = Arc::clone(&self.instances);
        context.spawn(async move { instances.read_ahead().await });
        self.load_balancers.initialize(context).await
    }

    fn instances(&self) -> Option<&dyn Instances> {
        Some(&*self.instances)
    }

    fn load_balancers(&self) -> Option<&dyn LoadBalancers> {
        let balancers = &self.load_balancers;
        balancers.is_offered().then_some(balancers as &dyn LoadBalancers)
    }

    /// Ours are also those that the Cluster API's provider named, and those that are broken: they are worth a word.
    fn owns(&self, provider_id: &str) -> bool {
        match ProviderId::parse(provider_id) {
            Ok(_) => true,
            Err(ProviderIdError::Foreign(_)) => false,
            Err(_) => provider_id.starts_with("phoenixnap:"),
        }
    }
}
