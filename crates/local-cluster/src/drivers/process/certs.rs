//! Certificates: one authority for the server, one for users, one for etcd, and a key for service accounts. A leaked key of
//! one is worth nothing to the others.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use jiff::{Timestamp, ToSpan as _};
use kube_kit::kubeconfig::{Access, Cluster, Kubeconfig, User};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

use crate::error::{Error, Fault};

const DAYS: i64 = 730;
/// The certificates are renewed at a start when less than this is left.
const RENEW_DAYS: i64 = 30;
const FILES: [&str; 10] = [
    "serving-ca.crt",
    "apiserver.crt",
    "apiserver.key",
    "client-ca.crt",
    "admin.crt",
    "admin.key",
    "etcd-ca.crt",
    "etcd.crt",
    "etcd.key",
    "sa.key",
];

fn failed(error: &rcgen::Error) -> Error {
    Error::tool("process", "make certificates", Fault::Unknown, error.to_string())
}

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn params(name: &str, organization: Option<&str>, end: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    // Clocks of virtual machines lag behind after a sleep.
    let day = |at: Timestamp| {
        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        rcgen::date_time_ymd(i32::from(date.year()), date.month() as u8, date.day() as u8)
    };
    params.not_before = day(Timestamp::now()
        .checked_sub(24.hours())
        .unwrap_or(Timestamp::UNIX_EPOCH));
    params.not_after = day(end);
    params
}

fn authority(name: &str, end: Timestamp) -> Result<Authority, rcgen::Error> {
    let mut params = params(name, None, end);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    Ok(Authority {
        pem,
        issuer: Issuer::new(params, key),
    })
}

/// A certificate and its key.
fn leaf(
    by: &Authority,
    name: &str,
    group: Option<&str>,
    purposes: &[ExtendedKeyUsagePurpose],
    end: Timestamp,
) -> Result<(String, String), rcgen::Error> {
    let mut params = params(name, group, end);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = purposes.to_vec();
    if purposes.contains(&ExtendedKeyUsagePurpose::ServerAuth) {
        params.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into()?),
            SanType::DnsName("kubernetes.default.svc".try_into()?),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))),
        ];
    }
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &by.issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Makes what is missing or about to end, and returns when it ends. The key of the service accounts is made only once:
/// their tokens outlive certificates.
pub(super) fn ensure(dir: &Path, end: i64) -> Result<i64, Error> {
    let soon = Timestamp::now().as_second() + RENEW_DAYS * 24 * 3600;
    if end > soon && FILES.iter().all(|name| dir.join(name).exists()) {
        return Ok(end);
    }
    let end = Timestamp::now()
        .checked_add((DAYS * 24).hours())
        .unwrap_or(Timestamp::MAX);
    let files = make(end).map_err(|error| failed(&error))?;
    for (name, text) in &files {
        write(dir, name, text)?;
    }
    if !dir.join("sa.key").exists() || !dir.join("sa.pub").exists() {
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        write(dir, "sa.pub", &key.public_key_pem())?;
        write(dir, "sa.key", &key.serialize_pem())?;
    }
    Ok(end.as_second())
}

fn write(dir: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = dir.join(name);
    kit::fs::write_private(&path, text.as_bytes()).map_err(Error::files("write", path))
}

fn make(end: Timestamp) -> Result<Vec<(&'static str, String)>, rcgen::Error> {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let serving = authority("roadstead serving authority", end)?;
    let clients = authority("roadstead client authority", end)?;
    let etcd = authority("roadstead etcd authority", end)?;
    let server = leaf(&serving, "localhost", None, &[ServerAuth], end)?;
    let admin = leaf(&clients, "kubernetes-admin", Some("system:masters"), &[ClientAuth], end)?;
    // etcd calls itself with its server certificate.
    let store = leaf(&etcd, "localhost", None, &[ServerAuth, ClientAuth], end)?;
    Ok(vec![
        ("serving-ca.crt", serving.pem),
        ("apiserver.crt", server.0),
        ("apiserver.key", server.1),
        ("client-ca.crt", clients.pem),
        ("admin.crt", admin.0),
        ("admin.key", admin.1),
        ("etcd-ca.crt", etcd.pem),
        ("etcd.crt", store.0),
        ("etcd.key", store.1),
    ])
}

fn read(dir: &Path, name: &str) -> Result<String, Error> {
    let path = dir.join(name);
    std::fs::read_to_string(&path).map_err(Error::files("read", path))
}

fn access(dir: &Path, port: u16, [ca, certificate, key]: [&str; 3]) -> Result<Access, Error> {
    Ok(Access {
        server: format!("https://127.0.0.1:{port}"),
        ca: Some(read(dir, ca)?.into_bytes()),
        client_certificate: Some(read(dir, certificate)?.into_bytes()),
        client_key: Some(read(dir, key)?.into()),
        ..Access::default()
    })
}

pub(super) fn etcd_access(dir: &Path, port: u16) -> Result<Access, Error> {
    access(dir, port, ["etcd-ca.crt", "etcd.crt", "etcd.key"])
}

pub(super) fn admin_access(dir: &Path, port: u16) -> Result<Access, Error> {
    access(dir, port, ["serving-ca.crt", "admin.crt", "admin.key"])
}

/// The administrator's kubeconfig.
pub(super) fn kubeconfig(dir: &Path, port: u16) -> Result<String, Error> {
    use base64::Engine as _;
    let encoded = |name: &str| Ok(base64::engine::general_purpose::STANDARD.encode(read(dir, name)?));
    let mut config = Kubeconfig::default();
    let cluster = Cluster {
        server: format!("https://127.0.0.1:{port}"),
        certificate_authority_data: Some(encoded("serving-ca.crt")?),
        insecure_skip_tls_verify: false,
    };
    config.set_cluster("process", &cluster);
    let user = User::Certificate {
        certificate_data: encoded("admin.crt")?,
        key_data: encoded("admin.key")?.into(),
    };
    config.set_user("process", &user);
    config.set_context("process", "process", "process");
    config.set_current_context(Some("process"));
    Ok(config.to_yaml())
}
