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

/// The authorities are made once: whoever copied a kubeconfig trusts them.
const AUTHORITY_DAYS: i64 = 3650;
const DAYS: i64 = 365;
/// The certificates are renewed at a start when less than this is left.
const RENEW_DAYS: i64 = 30;
const DAY: i64 = 24 * 3600;

/// An authority's file and its name.
const SERVING: (&str, &str) = ("serving-ca", "roadstead serving authority");
const CLIENTS: (&str, &str) = ("client-ca", "roadstead client authority");
const STORE: (&str, &str) = ("etcd-ca", "roadstead etcd authority");

fn failed(error: &rcgen::Error) -> Error {
    Error::tool("process", "make certificates", Fault::Unknown, error.to_string())
}

type Authority = Issuer<'static, KeyPair>;

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

/// Loads an authority, or makes it.
fn authority(dir: &Path, (file, name): (&str, &str)) -> Result<Authority, Error> {
    let (certificate, key) = (format!("{file}.crt"), format!("{file}.key"));
    let mut params = params(name, None, days_from_now(AUTHORITY_DAYS));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    if dir.join(&certificate).exists() && dir.join(&key).exists() {
        let key = KeyPair::from_pem(&read(dir, &key)?).map_err(|error| failed(&error))?;
        // Only its name and its key go into what it signs.
        return Ok(Issuer::new(params, key));
    }
    let made = KeyPair::generate().map_err(|error| failed(&error))?;
    let pem = params.self_signed(&made).map_err(|error| failed(&error))?.pem();
    write(dir, &key, &made.serialize_pem())?;
    write(dir, &certificate, &pem)?;
    Ok(Issuer::new(params, made))
}

fn days_from_now(days: i64) -> Timestamp {
    Timestamp::now()
        .checked_add((days * 24).hours())
        .unwrap_or(Timestamp::MAX)
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
    let certificate = params.signed_by(&key, by)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Whether certificates that end then are to be renewed at the next start.
pub(super) fn is_due(end: i64) -> bool {
    end <= Timestamp::now().as_second() + RENEW_DAYS * DAY
}

/// Whether certificates that end then are worth nothing any more.
pub(super) fn have_ended(end: i64) -> bool {
    end <= Timestamp::now().as_second()
}

/// Makes what is missing or about to end, and returns when it ends. The authorities and the key of the service accounts
/// are made only once: kubeconfigs and tokens outlive certificates. Programs that run read the new files by themselves.
pub(super) fn ensure(dir: &Path, end: i64) -> Result<i64, Error> {
    let there = |(name, _): &(&str, Leaf)| {
        ["crt", "key"]
            .iter()
            .all(|kind| dir.join(format!("{name}.{kind}")).exists())
    };
    let leaves = leaves();
    let authorities = [SERVING, CLIENTS, STORE];
    let trusted = authorities.iter().all(|(file, _)| {
        ["crt", "key"]
            .iter()
            .all(|kind| dir.join(format!("{file}.{kind}")).exists())
    });
    if !dir.join("sa.key").exists() || !dir.join("sa.pub").exists() {
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        write(dir, "sa.pub", &key.public_key_pem())?;
        write(dir, "sa.key", &key.serialize_pem())?;
    }
    if trusted && !is_due(end) && leaves.iter().all(there) {
        return Ok(end);
    }
    let end = days_from_now(DAYS);
    for (file, of) in leaves {
        let by = authority(dir, of.by)?;
        let (certificate, key) = leaf(&by, of.name, of.group, of.purposes, end).map_err(|error| failed(&error))?;
        // Whoever is interrupted between the two makes both again: the end is recorded after all of them.
        write(dir, &format!("{file}.key"), &key)?;
        write(dir, &format!("{file}.crt"), &certificate)?;
    }
    Ok(end.as_second())
}

struct Leaf {
    by: (&'static str, &'static str),
    name: &'static str,
    group: Option<&'static str>,
    purposes: &'static [ExtendedKeyUsagePurpose],
}

fn leaves() -> [(&'static str, Leaf); 3] {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let leaf = |by, name, group, purposes| Leaf {
        by,
        name,
        group,
        purposes,
    };
    [
        ("apiserver", leaf(SERVING, "localhost", None, &[ServerAuth])),
        (
            "admin",
            leaf(CLIENTS, "kubernetes-admin", Some("system:masters"), &[ClientAuth]),
        ),
        // etcd calls itself with its server certificate.
        ("etcd", leaf(STORE, "localhost", None, &[ServerAuth, ClientAuth])),
    ]
}

fn write(dir: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = dir.join(name);
    kit::fs::write_private(&path, text.as_bytes()).map_err(Error::files("write", path))
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
