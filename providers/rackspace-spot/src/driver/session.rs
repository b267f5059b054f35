//! One call's view of the cloud: logged in, and knowing where to look.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use kit::Backoff;
use kontainer_engine::{Call, ClusterInfo, DriverError};
use secrecy::{ExposeSecret as _, SecretString};

use super::observe::{self, Observed};
use super::state::State;
use crate::Settings;
use crate::client::{Organization, SpotClient, SpotError};

/// A client, its organization, and what waiting needs.
///
/// The login service may put a new refresh token in place of the one given, and end that one. A call that returns a record
/// hands the new one on by [`Session::keep_token`]; one that cannot, because it fails or returns nothing, says so at its end.
pub(super) struct Session {
    pub(super) client: SpotClient,
    /// Empty before [`Session::log_in`].
    pub(super) organization: Organization,
    pub(super) settings: Settings,
    pub(super) call: Call,
    /// The refresh token the cluster brought.
    given: Option<SecretString>,
    kept: AtomicBool,
}

impl Session {
    /// A session that has not logged in yet: nothing is sent.
    pub(super) fn new(settings: &Settings, call: &Call, token: Option<SecretString>) -> Result<Self, DriverError> {
        let client = SpotClient::new(settings, token.clone()).map_err(|error| match error {
            SpotError::NoCredential => DriverError::invalid(error.to_string()),
            error => login_failed(error),
        })?;
        Ok(Self {
            client,
            organization: Organization::default(),
            settings: settings.clone(),
            call: call.clone(),
            given: token,
            kept: AtomicBool::new(false),
        })
    }

    /// Logs in and finds the organization. An empty organization is that of the token.
    pub(super) async fn log_in(&mut self, organization: &str) -> Result<(), DriverError> {
        let found = if organization.is_empty() {
            self.client.own_organization().await
        } else {
            self.client.organization(organization).await
        };
        self.organization = found.map_err(login_failed)?;
        Ok(())
    }

    /// [`Session::new`] and [`Session::log_in`].
    pub(super) async fn open(
        settings: &Settings,
        call: &Call,
        token: Option<SecretString>,
        organization: &str,
    ) -> Result<Self, DriverError> {
        let mut session = Self::new(settings, call, token)?;
        session.log_in(organization).await?;
        Ok(session)
    }

    /// The user we are, as the login service names them; nobody when the token does not say.
    pub(super) fn user(&self) -> Option<String> {
        self.client.claims().sub
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

    /// Puts the refresh token that is good now into a state that will be returned.
    pub(super) fn keep_token(&self, state: &mut State) {
        // One from the environment is not the cluster's.
        if self.given.is_some() {
            state.refresh_token = self.client.refresh_token();
            self.kept.store(true, Ordering::Relaxed);
        }
    }

    /// Puts the refresh token that is good now into a record that will be returned.
    pub(super) fn hand_on(&self, info: &mut ClusterInfo) {
        let token = self.client.refresh_token().filter(|_| self.given.is_some());
        if let Some(token) = token {
            token.expose_secret().clone_into(&mut info.password);
            self.kept.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the login service has put another token in place of the cluster's, and nobody keeps it.
    fn loses_token(&self) -> bool {
        let now = self.client.refresh_token();
        let rotated = match (&self.given, &now) {
            (Some(given), Some(now)) => given.expose_secret() != now.expose_secret(),
            _ => false,
        };
        rotated && !self.kept.load(Ordering::Relaxed)
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

impl Drop for Session {
    fn drop(&mut self) {
        if self.loses_token() {
            self.call.warn(
                "the login service replaced the cluster's refresh token, and this call has no way to hand the new one back: if \
                 the next one cannot log in, make a new token in the console and change credential-revision with it",
            );
        }
    }
}

fn login_failed(error: SpotError) -> DriverError {
    DriverError::new(error.class(), "log in to Rackspace Spot").caused_by(error)
}
