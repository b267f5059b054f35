//! Whether Rackspace Spot can be used from here: its login service, its API, and the credential, all the way a driver goes.

use std::env;

use cloud_http::{Client, Failure, RetryPolicy, SetupError};
use http::Method;
use kit::{Class, Finding, Verdict};
use rackspace_spot::Settings;
use rackspace_spot::client::{SpotClient, SpotError};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::reach::{PATIENCE, Service};

const TOKEN: &str = "rackspace spot token";
/// What `roadstead engine` reads the token from; it wins over the driver's own.
const OURS: &str = "ROADSTEAD_RACKSPACE_SPOT_REFRESH_TOKEN";
const DRIVERS: &str = "RXTSPOT_REFRESH_TOKEN";
const ACCESS: &str = "RXTSPOT_ACCESS_TOKEN";
const NEW_TOKEN: &str = "get one in the console under API Access, Terraform, Get New Token";

/// Looks at it. Nothing is written there; `offline` opens no connection.
pub(super) async fn check(offline: bool) -> Vec<Finding> {
    let mut settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => {
            return vec![
                Finding::new("rackspace spot", Verdict::Problem, kit::chain(&error))
                    .advice("correct the variable it names"),
            ];
        }
    };
    let (from, token) = credential(&settings);
    let Some(from) = from else {
        let missing =
            Finding::new(TOKEN, Verdict::Note, format!("neither {OURS} nor {DRIVERS} is set")).advice(NEW_TOKEN);
        if offline {
            return vec![missing];
        }
        let (login, api) = tokio::join!(login(&settings, Verdict::Warning), api(&settings, Verdict::Warning));
        return vec![login, api, missing];
    };
    if offline {
        return vec![Finding::new(TOKEN, Verdict::Ok, format!("{from} is set; not tried"))];
    }
    settings.timeout = PATIENCE;
    settings.retry = RetryPolicy::never();
    // Whoever has a token means to use it: then what is in the way is a problem.
    let (login, api, token) = tokio::join!(
        login(&settings, Verdict::Problem),
        api(&settings, Verdict::Problem),
        accepted(&settings, from, token)
    );
    vec![login, api, token]
}

/// The variable that has a credential, and the token that is not in the settings already.
fn credential(settings: &Settings) -> (Option<&'static str>, Option<SecretString>) {
    let ours = env::var(OURS).ok().filter(|token| !token.trim().is_empty());
    match ours {
        Some(token) => (Some(OURS), Some(SecretString::from(token))),
        None if settings.refresh_token.is_some() => (Some(DRIVERS), settings.refresh_token.clone()),
        None => (settings.access_token.is_some().then_some(ACCESS), None),
    }
}

fn client(settings: &Settings, url: &str) -> Result<Client, SetupError> {
    Client::builder(url)
        .transport(settings.transport.clone())
        .timeout(PATIENCE)
        .retry(RetryPolicy::never())
        .build()
}

/// The login service describes itself to anybody.
async fn login(settings: &Settings, verdict: Verdict) -> Finding {
    #[derive(Deserialize)]
    struct Description {
        #[serde(rename = "token_endpoint")]
        _token_endpoint: String,
    }
    let service = Service {
        check: "rackspace spot login",
        url: &settings.oauth_url,
        variable: "RXTSPOT_OAUTH_URL",
        verdict,
    };
    let Ok(client) = client(settings, service.url) else {
        return service.misnamed();
    };
    let description = client.call(
        "look at the login service",
        Method::GET,
        "/.well-known/openid-configuration",
    );
    match description.json::<Description>().await {
        Ok(_) => service.fine(),
        Err(error) => service.broken(error.failure()).await,
    }
}

/// The API asks anybody for a credential.
async fn api(settings: &Settings, verdict: Verdict) -> Finding {
    let service = Service {
        check: "rackspace spot API",
        url: &settings.api_url,
        variable: "RXTSPOT_BASE_URL",
        verdict,
    };
    let Ok(client) = client(settings, service.url) else {
        return service.misnamed();
    };
    let call = client.call("look at the API", Method::GET, "/apis/ngpc.rxt.io/v1/regions");
    match call.json::<serde_json::Value>().await {
        Err(error) if error.class() != Class::Unauthorized => service.broken(error.failure()).await,
        _ => service.fine(),
    }
}

/// Logs in and asks whose token it is.
async fn accepted(settings: &Settings, from: &str, token: Option<SecretString>) -> Finding {
    let client = match SpotClient::new(settings, token.clone()) {
        Ok(client) => client,
        Err(error) => return Finding::new(TOKEN, Verdict::Note, format!("{from} is set; not tried: {error}")),
    };
    let error = match client.own_organization().await {
        Ok(organization) => {
            let now = client.refresh_token();
            let same = |old: &SecretString| {
                now.as_ref()
                    .is_none_or(|new| new.expose_secret() == old.expose_secret())
            };
            return if token.as_ref().is_none_or(same) {
                let found = format!("{from} is accepted; it belongs to organization {}", organization.name);
                Finding::new(TOKEN, Verdict::Ok, found)
            } else {
                let found =
                    format!("the login service has just replaced the token in {from}, which may be good no more");
                Finding::new(TOKEN, Verdict::Warning, found).advice(NEW_TOKEN)
            };
        }
        Err(error) => error,
    };
    match &error {
        SpotError::Api(failed)
            if matches!(
                failed.failure(),
                Failure::Connect(_)
                    | Failure::Proxy { .. }
                    | Failure::Untrusted(_)
                    | Failure::Timeout(_)
                    | Failure::Broken(_)
            ) =>
        {
            let found = format!("{from} is set, but cannot be tried: {}", failed.operation());
            Finding::new(TOKEN, Verdict::Note, found).advice("first mend the way to the login service and the API")
        }
        _ if error.class() == Class::Unauthorized => {
            Finding::new(TOKEN, Verdict::Problem, format!("{from} is refused: {error}")).advice(NEW_TOKEN)
        }
        _ => Finding::new(
            TOKEN,
            Verdict::Warning,
            format!("{from} is set, but cannot be tried: {error}"),
        )
        .advice("look at what is said of the login service and the API; try again later"),
    }
}
