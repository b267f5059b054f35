//! The command lines of the processes.

use std::ffi::OsString;
use std::path::Path;

use super::{API_SERVER, CONTROLLERS, ETCD, Kept};
use crate::config;
use crate::error::Error;
use crate::host::absolute;
use crate::settings::{Setting, Settings};

pub(super) fn wants(config: &config::Process) -> Settings {
    let fields = [
        (
            "kubernetesVersion",
            config.kubernetes_version.as_ref().map(Setting::plain),
        ),
        ("apiPort", config.api_port.map(Setting::plain)),
        ("etcdPort", config.etcd_port.map(Setting::plain)),
        (
            "dataDir",
            config
                .data_dir
                .as_ref()
                .map(|dir| Setting::plain(absolute(dir).display())),
        ),
        (
            "extraArgs",
            config.extra_args.as_ref().map(|args| Setting::plain(args.join(" "))),
        ),
        ("controllerManager", config.controller_manager.map(Setting::plain)),
    ];
    fields
        .into_iter()
        .filter_map(|(field, setting)| Some((field.to_owned(), setting?)))
        .collect()
}

/// What can be seen of a cluster in this directory. Data in the directory itself is in none that was asked for.
pub(super) fn settings(kept: &Kept, dir: &Path) -> Settings {
    let data = kept.data.parent().filter(|data| *data != dir);
    [
        (
            "dataDir",
            data.map(|data| data.display().to_string()).unwrap_or_default(),
        ),
        ("kubernetesVersion", kept.version.clone()),
        ("apiPort", kept.api_port.to_string()),
        ("etcdPort", kept.etcd_port.to_string()),
        ("extraArgs", kept.extra_args.join(" ")),
        ("controllerManager", kept.controllers.to_string()),
    ]
    .map(|(field, value)| (field.to_owned(), Setting::plain(value)))
    .into()
}

pub(super) fn refuse_version(config: &config::Process, have: &str) -> Result<(), Error> {
    match &config.kubernetes_version {
        Some(want) if want.trim_start_matches('v') != have.trim_start_matches('v') => Err(Error::config(
            "process.kubernetesVersion",
            format!("{want} is asked for, but the kube-apiserver that was found is {have}"),
        )),
        _ => Ok(()),
    }
}

pub(super) fn ports_of(name: &str, kept: &Kept) -> Vec<u16> {
    match name {
        ETCD => vec![kept.etcd_port, kept.peer_port],
        API_SERVER => vec![kept.api_port],
        _ => Vec::new(),
    }
}

pub(super) fn args(name: &str, kept: &Kept, certs: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    let file = |name: &str| certs.join(name).into_os_string();
    let mut flag = |name: &str, value: OsString| {
        let mut arg = OsString::from(format!("--{name}="));
        arg.push(value);
        args.push(arg);
    };
    match name {
        ETCD => {
            let client = format!("https://127.0.0.1:{}", kept.etcd_port);
            let peer = format!("https://127.0.0.1:{}", kept.peer_port);
            flag("name", "default".into());
            flag("data-dir", kept.data.clone().into_os_string());
            flag("listen-client-urls", client.clone().into());
            flag("advertise-client-urls", client.into());
            flag("listen-peer-urls", peer.clone().into());
            flag("initial-advertise-peer-urls", peer.clone().into());
            flag("initial-cluster", format!("default={peer}").into());
            // Other users of the machine must not read Secrets past the API server.
            for side in ["", "peer-"] {
                flag(&format!("{side}client-cert-auth"), "true".into());
                flag(&format!("{side}trusted-ca-file"), file("etcd-ca.crt"));
                flag(&format!("{side}cert-file"), file("etcd.crt"));
                flag(&format!("{side}key-file"), file("etcd.key"));
            }
        }
        API_SERVER => {
            flag("etcd-servers", format!("https://127.0.0.1:{}", kept.etcd_port).into());
            flag("etcd-cafile", file("etcd-ca.crt"));
            flag("etcd-certfile", file("etcd.crt"));
            flag("etcd-keyfile", file("etcd.key"));
            flag("bind-address", "127.0.0.1".into());
            flag("advertise-address", "127.0.0.1".into());
            flag("secure-port", kept.api_port.to_string().into());
            flag("tls-cert-file", file("apiserver.crt"));
            flag("tls-private-key-file", file("apiserver.key"));
            flag("client-ca-file", file("client-ca.crt"));
            flag("authorization-mode", "RBAC".into());
            flag("service-cluster-ip-range", "10.0.0.0/24".into());
            flag("allow-privileged", "true".into());
            flag("endpoint-reconciler-type", "none".into());
            flag(
                "service-account-issuer",
                format!("https://127.0.0.1:{}/", kept.api_port).into(),
            );
            flag("service-account-key-file", file("sa.pub"));
            flag("service-account-signing-key-file", file("sa.key"));
            if !kept.controllers {
                // Nobody would make the account that it asks every Pod to have.
                flag("disable-admission-plugins", "ServiceAccount".into());
            }
            args.extend(kept.extra_args.iter().map(OsString::from));
        }
        CONTROLLERS => {
            flag("kubeconfig", file("kubeconfig.yaml"));
            flag("bind-address", "127.0.0.1".into());
            flag("secure-port", "0".into());
            flag("leader-elect", "false".into());
            flag("use-service-account-credentials", "true".into());
            flag("service-account-private-key-file", file("sa.key"));
            flag("root-ca-file", file("serving-ca.crt"));
            // There are no nodes whose life it could watch.
            flag(
                "controllers",
                "*,-node-lifecycle-controller,-node-ipam-controller".into(),
            );
        }
        _ => {}
    }
    args
}
