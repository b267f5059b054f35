//! Which certificate is shown to whom: the one of the server itself, given, kept in a directory, or made up on the spot, and
//! those of `--tls-sni-cert-key`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, GeneralName};

use super::ServeError;
use crate::manager::flags::Parsed;

/// A chain and its key.
pub(super) type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The names of the files in `--cert-dir`.
pub(super) const FILES: [&str; 2] = ["cloud-controller-manager.crt", "cloud-controller-manager.key"];

/// Where the server's own certificate comes from.
pub(super) struct Own {
    names: Vec<String>,
    from: Place,
}

enum Place {
    /// `--tls-cert-file`, `--tls-private-key-file`.
    Files([PathBuf; 2]),
    /// `--cert-dir`: made when it is not there.
    Kept([PathBuf; 2]),
    /// Made up once: another one each time would be trusted by nobody.
    Memory(OnceLock<Pair>),
}

impl Own {
    /// The certificate that these flags mean, of a server that is reached at `bind`.
    pub fn new(flags: &Parsed, bind: IpAddr) -> Self {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        if !bind.is_unspecified() {
            names.push(bind.to_string());
        }
        let path = |flag: &str| flags.optional(flag).map(PathBuf::from);
        let from = match (path("tls-cert-file"), path("tls-private-key-file"), path("cert-dir")) {
            (Some(cert), Some(key), _) => Place::Files([cert, key]),
            (_, _, Some(dir)) => Place::Kept(FILES.map(|file| dir.join(file))),
            _ => Place::Memory(OnceLock::new()),
        };
        Self { names, from }
    }

    /// The certificate as it is now.
    pub fn read(&self) -> Result<Pair, ServeError> {
        match &self.from {
            Place::Files([cert, key]) => read(cert, key),
            Place::Kept([cert, key]) if cert.exists() && key.exists() => read(cert, key),
            Place::Kept([cert, key]) => {
                let made = self.make()?;
                let keep = |path: &Path, text: String| {
                    kit::fs::write_private(path, text.as_bytes())
                        .map_err(|error| ServeError::Keep(path.to_owned(), error))
                };
                if let Some(dir) = cert.parent() {
                    kit::fs::create_private_dir(dir).map_err(|error| ServeError::Keep(dir.to_owned(), error))?;
                }
                keep(cert, made.cert.pem())?;
                keep(key, made.signing_key.serialize_pem())?;
                Ok(pair(&made))
            }
            Place::Memory(made) => {
                if made.get().is_none() {
                    let _ = made.set(pair(&self.make()?));
                }
                let (chain, key) = made.get().expect("it was made just now");
                Ok((chain.clone(), key.clone_key()))
            }
        }
    }

    fn make(&self) -> Result<Made, ServeError> {
        rcgen::generate_simple_self_signed(self.names.clone()).map_err(ServeError::Make)
    }
}

type Made = rcgen::CertifiedKey<rcgen::KeyPair>;

fn pair(made: &Made) -> Pair {
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    (vec![made.cert.der().clone()], key)
}

fn read(cert: &Path, key: &Path) -> Result<Pair, ServeError> {
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| ServeError::Pem(key.to_owned(), error))?;
    Ok((read_chain(cert)?, key))
}

/// The certificates in a file.
pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServeError> {
    let broken = |error| ServeError::Pem(path.to_owned(), error);
    CertificateDer::pem_file_iter(path)
        .map_err(broken)?
        .collect::<Result<_, _>>()
        .map_err(broken)
}

/// The certificates that are served.
#[derive(Debug)]
pub(super) struct Certificates {
    /// For whoever asks for no name that any other has.
    own: Arc<CertifiedKey>,
    /// In the order they were given: the first that fits is taken.
    others: Vec<(Vec<String>, Arc<CertifiedKey>)>,
}

impl Certificates {
    /// The server's own, and one for each `CERT,KEY[:NAME,…]`. Without names those in the certificate count.
    pub fn new(own: Pair, others: &[String], provider: &CryptoProvider) -> Result<Self, ServeError> {
        let keyed = |(chain, key): Pair| {
            let keyed = CertifiedKey::from_der(chain, key, provider).map_err(ServeError::Tls)?;
            Ok(Arc::new(keyed))
        };
        let mut certificates = Self {
            own: keyed(own)?,
            others: Vec::new(),
        };
        for text in others {
            let (cert, key, given) = parse(text).ok_or_else(|| ServeError::Sni(text.clone()))?;
            let keyed = keyed(read(&cert, &key)?)?;
            let names = if given.is_empty() { names(&keyed) } else { given };
            certificates.others.push((names, keyed));
        }
        Ok(certificates)
    }

    fn pick(&self, asked: Option<&str>) -> Arc<CertifiedKey> {
        let fits =
            |(names, _): &&(Vec<String>, _)| asked.is_some_and(|asked| names.iter().any(|name| is_name(name, asked)));
        let found = self.others.iter().find(fits).map(|(_, keyed)| keyed);
        Arc::clone(found.unwrap_or(&self.own))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pick(hello.server_name()))
    }
}

/// `CERT,KEY` and the names after the colon, if there are any.
pub(in super::super) fn parse(text: &str) -> Option<(PathBuf, PathBuf, Vec<String>)> {
    let (files, names) = text.split_once(':').unwrap_or((text, ""));
    let (cert, key) = files.split_once(',')?;
    let names = names.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
    let whole = !cert.is_empty() && !key.is_empty() && !key.contains(',');
    whole.then(|| (Path::new(cert).to_owned(), Path::new(key).to_owned(), names.collect()))
}

/// Whether a name asked for is this one; `*.x` stands for any one label before `.x`.
fn is_name(name: &str, asked: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(rest) => asked
            .split_once('.')
            .is_some_and(|(_, parent)| parent.eq_ignore_ascii_case(rest)),
        None => name.eq_ignore_ascii_case(asked),
    }
}

/// The names in a certificate.
fn names(keyed: &CertifiedKey) -> Vec<String> {
    let Some(Ok((_, certificate))) = keyed
        .cert
        .first()
        .map(|der| x509_parser::certificate::X509Certificate::from_der(der))
    else {
        return Vec::new();
    };
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let alternatives = alternatives
        .map(|found| found.value.general_names.clone())
        .unwrap_or_default();
    let names: Vec<String> = alternatives
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_read_as_upstream_reads_it() {
        let paths = |text: &str| {
            parse(text).map(|(cert, key, names)| format!("{} {} {names:?}", cert.display(), key.display()))
        };
        assert_eq!(paths("a.crt,a.key").as_deref(), Some("a.crt a.key []"));
        assert_eq!(
            paths("a.crt,a.key:x.org,*.y.org").as_deref(),
            Some("a.crt a.key [\"x.org\", \"*.y.org\"]")
        );
        for wrong in ["", "a.crt", "a.crt,", ",a.key", "a,b,c"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_certificate_that_is_made_up_is_made_up_once() {
        let own = Own::new(&Parsed::default(), "127.0.0.1".parse().unwrap());
        assert_eq!(own.read().unwrap(), own.read().unwrap());
    }

    #[test]
    fn each_name_gets_its_certificate_and_all_others_the_servers_own() {
        let dir = tempfile::tempdir().unwrap();
        let pair = |name: &str| {
            let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
            let (cert, key) = (
                dir.path().join(format!("{name}.crt")),
                dir.path().join(format!("{name}.key")),
            );
            std::fs::write(&cert, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            (cert, key)
        };
        let own = pair("own");
        let flags: Vec<String> = [("by-itself.org", ""), ("by-flag", ":x.org,*.y.org")]
            .iter()
            .map(|(name, names)| {
                let (cert, key) = pair(name);
                format!("{},{}{names}", cert.display(), key.display())
            })
            .collect();
        let provider = rustls::crypto::ring::default_provider();
        let certificates = Certificates::new(read(&own.0, &own.1).unwrap(), &flags, &provider).unwrap();
        for (asked, expected) in [
            (None, "own"),
            (Some("elsewhere.org"), "own"),
            (Some("by-itself.org"), "by-itself.org"),
            (Some("X.org"), "by-flag"),
            (Some("a.y.org"), "by-flag"),
            (Some("a.b.y.org"), "own"),
            (Some("y.org"), "own"),
        ] {
            assert_eq!(names(&certificates.pick(asked)), [expected], "{asked:?}");
        }
        let missing = ["/nowhere/a.crt,/nowhere/a.key".to_owned()];
        let broken = Certificates::new(read(&own.0, &own.1).unwrap(), &missing, &provider);
        assert!(matches!(broken, Err(ServeError::Pem(..))));
    }
}
