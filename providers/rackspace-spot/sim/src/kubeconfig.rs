//! The kubeconfig as the service writes it: no CA, a token that ends within a day, a second context that logs in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::settings::KubeconfigShape;
use crate::token::CLIENT_ID;

/// What goes into a kubeconfig.
pub(crate) struct Facts<'a> {
    pub(crate) organization: &'a str,
    pub(crate) cloudspace: &'a str,
    /// Host, and port if it has one.
    pub(crate) endpoint: &'a str,
    pub(crate) token: &'a str,
    /// The cluster's CA in PEM, if it is known.
    pub(crate) ca: Option<&'a str>,
}

pub(crate) fn write(facts: &Facts<'_>, shape: KubeconfigShape) -> String {
    if shape == KubeconfigShape::Empty {
        return String::new();
    }
    let context = format!("{}-{}", facts.organization, facts.cloudspace);
    let oidc = format!("{context}-oidc");
    let trust = match facts.ca {
        Some(ca) if shape == KubeconfigShape::WithCa => {
            format!("certificate-authority-data: {}", STANDARD.encode(ca))
        }
        _ => "insecure-skip-tls-verify: true".to_owned(),
    };
    let quote = |text: &str| json!(text).to_string();
    let cluster = quote(facts.cloudspace);
    let named = match shape {
        KubeconfigShape::DanglingCluster => quote("no-such-cluster"),
        _ => cluster.clone(),
    };
    let current = match shape {
        KubeconfigShape::NoCurrentContext => String::new(),
        KubeconfigShape::DanglingContext => "current-context: no-such-context\n".to_owned(),
        _ => format!("current-context: {}\n", quote(&context)),
    };
    format!(
        r"apiVersion: v1
kind: Config
clusters:
- name: {cluster}
  cluster:
    server: https://{endpoint}/
    {trust}
contexts:
- name: {context}
  context:
    cluster: {named}
    namespace: default
    user: ngpc-user
- name: {oidc}
  context:
    cluster: {named}
    namespace: default
    user: oidc
{current}preferences: {{}}
users:
- name: ngpc-user
  user:
    token: {token}
- name: oidc
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: kubectl
      args:
      - oidc-login
      - get-token
      - --oidc-issuer-url=https://login.spot.sim/
      - --oidc-client-id={CLIENT_ID}
      - --oidc-extra-scope=openid
      - --oidc-extra-scope=profile
      - --oidc-extra-scope=email
      interactiveMode: IfAvailable
",
        endpoint = facts.endpoint,
        context = quote(&context),
        oidc = quote(&oidc),
        token = facts.token,
    )
}
