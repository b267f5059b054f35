//! Every setting, in one table. `docs/reference/phoenixnap-config.md` and the values of the Helm chart are held against it.

use crate::client::{BASE_URL, TOKEN_URL};

use super::ANNOTATION_IP_LOCATION;

/// A setting: its key in the file, its variable, and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key in the JSON file. Its case does not matter.
    pub key: &'static str,
    /// The environment variable, which wins when it is not empty.
    pub variable: &'static str,
    /// `text`, `number`, or `true or false`.
    pub kind: &'static str,
    /// What holds when nothing is given; empty when nothing does.
    pub default: &'static str,
    /// What it does.
    pub text: &'static str,
    /// What the original did with it.
    pub upstream: Upstream,
}

/// What the original did with a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// The same.
    Same,
    /// It knew the key and gave it no effect.
    Idle,
    /// It knew the key, and no variable for it.
    FileOnly,
    /// It did not know it.
    Unknown,
}

const fn setting(
    (key, variable): (&'static str, &'static str),
    kind: &'static str,
    default: &'static str,
    upstream: Upstream,
    text: &'static str,
) -> Setting {
    Setting {
        key,
        variable,
        kind,
        default,
        text,
        upstream,
    }
}

/// All settings.
pub const SETTINGS: [Setting; 13] = [
    setting(
        ("clientID", "PNAP_CLIENT_ID"),
        "text",
        "",
        Upstream::Same,
        "Who logs in. Required.",
    ),
    setting(
        ("clientSecret", "PNAP_CLIENT_SECRET"),
        "text",
        "",
        Upstream::Same,
        "The secret that goes with it. Required. No log, error, event or metric shows it.",
    ),
    setting(
        ("loadbalancer", "PNAP_LOAD_BALANCER"),
        "text",
        "",
        Upstream::Same,
        "Who announces the addresses of Services, and the ID of the public network they are on: `kube-vip://NETWORK`, or \
         `metallb://NETWORK[/NAMESPACE][?interfaces=NAME,NAME]`. Without it Services get no address; \
         what they had from earlier stays until they are deleted.",
    ),
    setting(
        ("location", "PNAP_LOCATION"),
        "text",
        "",
        Upstream::Same,
        "Where IP blocks are bought: `PHX`, `ASH`, `SGP`, `NLD`, `CHI`, `SEA` or `AUS`. It must be the location of the \
         public network, which is taken when nothing is given.",
    ),
    setting(
        ("base-url", "PNAP_BASE_URL"),
        "text",
        BASE_URL,
        Upstream::Idle,
        "Below which all APIs are. A slash at its end makes no difference.",
    ),
    setting(
        ("token-url", "PNAP_TOKEN_URL"),
        "text",
        TOKEN_URL,
        Upstream::Unknown,
        "Where tokens are given: the whole URL. To be given together with `base-url`.",
    ),
    setting(
        ("annotationIPLocation", "PNAP_ANNOTATION_IP_LOCATION"),
        "text",
        ANNOTATION_IP_LOCATION,
        Upstream::Idle,
        "The annotation of a Service that says where its block is to be bought, where `location` is not given.",
    ),
    setting(
        ("apiServerPort", "PNAP_API_SERVER_PORT"),
        "number",
        "0",
        Upstream::Same,
        "Has no effect. It is checked, so that a file of the original is taken as it is.",
    ),
    setting(
        ("serviceNodeSelector", "PNAP_SERVICE_NODE_SELECTOR"),
        "text",
        "",
        Upstream::Idle,
        "A label selector, such as `role=edge,!spot`: the nodes that may announce addresses by MetalLB. With kube-vip it \
         decides nothing: run kube-vip on those nodes only.",
    ),
    setting(
        ("shareIPBlocks", "PNAP_SHARE_IP_BLOCKS"),
        "true or false",
        "false",
        Upstream::Unknown,
        "Whether Services share blocks, each having an address of one, instead of having a block each. A public network \
         takes ten blocks.",
    ),
    setting(
        ("annotationOnly", "PNAP_ANNOTATION_ONLY"),
        "true or false",
        "false",
        Upstream::Unknown,
        "With kube-vip: whether the address of a Service is written to its annotations only, and not to the deprecated \
         `spec.loadBalancerIP`. kube-vip reads the annotation from 0.5.12 on.",
    ),
    setting(
        ("ipBlockSize", "PNAP_IP_BLOCK_SIZE"),
        "text",
        "/29",
        Upstream::Unknown,
        "How large blocks are that are bought: `/30`, `/29` or `/28`, with 1, 5 or 13 addresses for Services.",
    ),
    setting(
        ("deleteOrphanedIPBlocks", "PNAP_DELETE_ORPHANED_IP_BLOCKS"),
        "true or false",
        "false",
        Upstream::Unknown,
        "Whether blocks are given back whose Service went while nobody was looking. Without it they are only told of, in \
         the log and in the metric `phoenixnap_ip_blocks`.",
    ),
];

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use cloud_provider::config::ConfigError;

    use super::*;
    use crate::Config;

    #[test]
    fn every_setting_is_read_from_the_file_and_from_its_variable() {
        for setting in SETTINGS {
            let file = format!(r#"{{"{}": {{"no": "value"}}}}"#, setting.key.to_uppercase());
            let ConfigError(problems) = Config::read(Some(file.as_bytes()), |_| None).unwrap_err();
            let told = format!("{} in the configuration file must be", setting.key);
            assert!(
                problems.iter().any(|problem| problem.starts_with(&told)),
                "{problems:?}"
            );

            let asked = std::cell::RefCell::new(Vec::new());
            let _ = Config::read(None, |name| {
                asked.borrow_mut().push(name.to_owned());
                None
            });
            assert!(
                asked.borrow().iter().any(|name| name == setting.variable),
                "{}",
                setting.variable
            );
        }
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let mut file = String::from(r#"{"clientID": "a", "clientSecret": "b""#);
        for setting in SETTINGS.iter().filter(|setting| !setting.default.is_empty()) {
            write!(file, ", {:?}: {:?}", setting.key, setting.default).unwrap();
        }
        let given = Config::read(Some((file + "}").as_bytes()), |_| None).unwrap();
        let bare = Config::read(Some(br#"{"clientID": "a", "clientSecret": "b"}"#), |_| None).unwrap();
        assert_eq!(format!("{given:?}"), format!("{bare:?}"));
    }
}
