//! Which certificate is shown to whom: `--tls-sni-cert-key` besides the one of the server itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, GeneralName};

use super::{Pair, ServeError, read};

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
