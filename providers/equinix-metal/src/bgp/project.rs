//! Whether the project speaks BGP, and on what terms.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{BgpError, BgpSettings};
use crate::client::{BgpConfig, BgpRequest, MetalClient};

/// How long what was read counts.
const FRESH: Duration = Duration::from_mins(5);
/// What BGP is enabled for, for people.
const USE_CASE: &str = "kubernetes-load-balancer";
/// How many prefixes a session may announce where the API does not say.
const MAX_PREFIX: u32 = 10;

/// What is known of the project.
#[derive(Default)]
pub(super) struct Project(Mutex<Option<(Instant, BgpConfig)>>);

/// On what terms the project speaks BGP.
pub(super) struct Terms {
    /// How many prefixes a session may announce.
    pub limit: u32,
    /// Whether they are others than before, so that every session is another one, too.
    pub changed: bool,
}

impl Project {
    /// Makes the project speak BGP if it does not.
    pub async fn enable(&self, client: &MetalClient, settings: &BgpSettings) -> Result<Terms, BgpError> {
        let mut known = self.0.lock().await;
        if let Some((_, config)) = known.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(Terms {
                limit: limit(config),
                changed: false,
            });
        }
        let failed = |source| BgpError::Project {
            project: client.project().to_owned(),
            source,
        };
        let mut config = client.bgp_config().await.map_err(failed)?;
        if !config.is_enabled() {
            let request = BgpRequest {
                asn: settings.local_asn,
                md5: settings.password.clone(),
                use_case: USE_CASE.to_owned(),
            };
            let made = client.enable_bgp(&request).await;
            // Somebody may have been faster, or the answer was lost: what counts is how it is now.
            config = client.bgp_config().await.map_err(failed)?;
            if !config.is_enabled() {
                made.map_err(failed)?;
            }
        }
        let terms = Terms {
            limit: limit(&config),
            changed: known.as_ref().is_some_and(|(_, before)| differ(before, &config)),
        };
        *known = Some((Instant::now(), config));
        Ok(terms)
    }
}

fn limit(config: &BgpConfig) -> u32 {
    if config.max_prefix == 0 {
        MAX_PREFIX
    } else {
        config.max_prefix
    }
}

fn differ(one: &BgpConfig, other: &BgpConfig) -> bool {
    let terms = |config: &BgpConfig| {
        let password = config.md5.as_ref().map(|md5| md5.expose_secret().to_owned());
        (config.id.clone(), config.asn, password)
    };
    terms(one) != terms(other)
}
