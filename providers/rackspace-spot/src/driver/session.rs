//! One call's view of the cloud: logged in, and knowing where to look.

use jiff::Timestamp;
use kit::Backoff;
use kontainer_engine::{Call, DriverError};
use secrecy::SecretString;

use super::observe::{self, Observed};
use super::state::State;
use crate::Settings;
use crate::client::{Organization, SpotClient, SpotError};

/// A client, its organization, and what waiting needs.
pub(super) struct Session {
    pub(super) client: SpotClient,
    pub(super) organization: Organization,
    pub(super) settings: Settings,
    pub(super) call: Call,
}

impl Session {
    /// Logs in and finds the organization. An empty organization is that of the token.
    pub(super) async fn open(
        settings: &Settings,
        call: &Call,
        token: Option<SecretString>,
        organization: &str,
    ) -> Result<Self, DriverError> {
        let failed = |error: SpotError| DriverError::new(error.class(), "log in to Rackspace Spot").caused_by(error);
        let client = SpotClient::new(settings, token).map_err(|error| match error {
            SpotError::NoCredential => DriverError::invalid(error.to_string()),
            error => failed(error),
        })?;
        let organization = if organization.is_empty() {
            client.own_organization().await
        } else {
            client.organization(organization).await
        };
        Ok(Self {
            organization: organization.map_err(failed)?,
            client,
            settings: settings.clone(),
            call: call.clone(),
        })
    }

    pub(super) fn namespace(&self) -> &str {
        &self.organization.namespace
    }

    /// Reads the cloudspace and its pools. `known` is the stored state, which tells what is ours.
    pub(super) async fn observe(&self, known: &State) -> Result<Observed, DriverError> {
        let cloudspace = self.cloudspace(&known.cloudspace).await?;
        // Without a cloudspace there can be no pools: the API refuses them.
        let pools = if cloudspace.is_some() {
            self.pools(known).await?
        } else {
            Vec::new()
        };
        Ok(Observed { cloudspace, pools })
    }

    pub(super) async fn cloudspace(&self, name: &str) -> Result<Option<crate::client::CloudSpace>, DriverError> {
        let found = self.client.cloudspace(self.namespace(), name).await;
        found.map_err(|error| self.failed(&format!("look up cloudspace {name}"), error))
    }

    pub(super) async fn pools(&self, known: &State) -> Result<Vec<observe::LivePool>, DriverError> {
        let found = observe::pools(&self.client, self.namespace(), known).await;
        found.map_err(|error| {
            self.failed(
                &format!("list the node pools of cloudspace {}", known.cloudspace),
                error,
            )
        })
    }

    /// An error of the API, said with what was being done.
    #[allow(clippy::unused_self, reason = "reads better at its many callers")]
    pub(super) fn failed(&self, what: &str, error: SpotError) -> DriverError {
        DriverError::new(error.class(), format!("failed to {what}")).caused_by(error)
    }

    /// The token to keep: the service may have put a new one in place of the one given.
    pub(super) fn keep_token(&self, state: &mut State) {
        // One from the environment is not the cluster's.
        if state.refresh_token.is_some() {
            state.refresh_token = self.client.refresh_token();
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    /// Waits between two looks: from a second up, never in step with others.
    pub(super) fn waits(&self) -> Backoff {
        let limits = &self.settings.limits;
        Backoff::new(limits.poll_first, limits.poll_most)
            .factor(1.5)
            .jitter(0.2)
    }

    pub(super) async fn pause(&self, waits: &mut Backoff) -> Result<(), DriverError> {
        self.call
            .sleep(&self.settings.clock, waits.next().unwrap_or_default())
            .await
    }
}
