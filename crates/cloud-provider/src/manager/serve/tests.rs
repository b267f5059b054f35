use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::routing::get;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::certificates::FILES;
use super::*;
use crate::manager::auth::Certified;
use crate::manager::flags::Parsed;
use crate::manager::trust::Authorities;

/// What is read at once.
fn tls(flags: &Parsed, bind: IpAddr, cluster: &Authorities) -> Result<Tls, ServeError> {
    Source::new(flags, bind).read(cluster)
}

fn parsed(args: &[String]) -> Parsed {
    Parsed::parse("ccm", args.iter().cloned()).unwrap()
}

/// Who the server sees, answered on the wire.
fn whoami() -> Router {
    let tell = |request: Request| async move {
        request.extensions().get::<Certified>().map_or_else(
            || "nobody".to_owned(),
            |Certified(user)| format!("{} {:?}", user.name, user.groups),
        )
    };
    Router::new().route("/", get(tell))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

async fn ask(address: SocketAddr, config: rustls::ClientConfig) -> io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned())
}

fn trusting(pem: &[u8]) -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
    let builder = rustls::ClientConfig::builder_with_provider(provider());
    builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
}

#[tokio::test]
async fn a_kept_certificate_is_made_once_and_client_certificates_say_who_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    // An authority and a client that it vouches for.
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    std::fs::write(path("ca.pem"), authority.pem()).unwrap();
    let client_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "alice");
    params
        .distinguished_name
        .push(rcgen::DnType::OrganizationName, "system:masters");
    let client = params.signed_by(&client_key, &issuer).unwrap();

    let args = [
        format!("--cert-dir={}", path("certs").display()),
        format!("--client-ca-file={}", path("ca.pem").display()),
    ];
    let bind: IpAddr = "127.0.0.1".parse().unwrap();
    let config = tls(&parsed(&args), bind, &Authorities::default()).unwrap();
    let kept = std::fs::read(path("certs").join(FILES[0])).unwrap();
    tls(&parsed(&args), bind, &Authorities::default()).unwrap();
    assert_eq!(
        std::fs::read(path("certs").join(FILES[0])).unwrap(),
        kept,
        "it is used again, not made again"
    );

    let listener = listen(SocketAddr::new(bind, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let reload = Reload {
        every: Duration::from_millis(50),
        read: Box::new({
            let flags = parsed(&args);
            move || tls(&flags, bind, &Authorities::default())
        }),
    };
    let served = tokio::spawn(serve(listener, config, reload, whoami(), stop.clone()));
    let plain = trusting(&kept).with_no_client_auth();
    assert_eq!(ask(address, plain).await.unwrap(), "nobody");
    let key = PrivateKeyDer::Pkcs8(client_key.serialize_der().into());
    let known = trusting(&kept)
        .with_client_auth_cert(vec![client.der().clone()], key)
        .unwrap();
    assert_eq!(
        ask(address, known).await.unwrap(),
        "alice [\"system:masters\", \"system:authenticated\"]"
    );
    let stranger = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
    let key = PrivateKeyDer::Pkcs8(stranger.signing_key.serialize_der().into());
    let unknown = trusting(&kept)
        .with_client_auth_cert(vec![stranger.cert.der().clone()], key)
        .unwrap();
    assert!(
        ask(address, unknown).await.is_err(),
        "a certificate nobody vouches for is refused"
    );
    // Somebody renews the certificate.
    let fresh = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(path("certs").join(FILES[0]), fresh.cert.pem()).unwrap();
    std::fs::write(path("certs").join(FILES[1]), fresh.signing_key.serialize_pem()).unwrap();
    let renewed = async {
        while ask(address, trusting(fresh.cert.pem().as_bytes()).with_no_client_auth())
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed)
        .await
        .expect("the new certificate is served");
    stop.cancel();
    served.await.unwrap();
}

#[test]
fn files_that_are_not_there_are_named() {
    let args = [
        "--tls-cert-file=/nowhere.crt".to_owned(),
        "--tls-private-key-file=/nowhere.key".to_owned(),
    ];
    let error = tls(&parsed(&args), "0.0.0.0".parse().unwrap(), &Authorities::default())
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "cannot read /nowhere.key");
}

/// An authority as PEM, and the certificate of somebody with this name that it vouches for.
fn vouched(name: &str) -> (String, CertificateDer<'static>) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let certificate = params.signed_by(&rcgen::KeyPair::generate().unwrap(), &issuer).unwrap();
    (authority.pem(), certificate.der().clone())
}

#[test]
fn whose_authority_vouches_decides_whether_it_is_a_person_or_a_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let ((people, alice), (proxies, front), (_, stranger)) = (vouched("alice"), vouched("front"), vouched("eve"));
    let file = dir.path().join("proxies.pem");
    std::fs::write(&file, &proxies).unwrap();
    let both = Authorities {
        clients: Some(people.clone()),
        proxies: Some(proxies),
    };
    let flag = [format!("--requestheader-client-ca-file={}", file.display())];
    let only_people = Authorities {
        clients: Some(people),
        proxies: None,
    };
    for (args, cluster) in [(&[][..], &both), (&flag[..], &only_people)] {
        let tls = tls(&parsed(args), "127.0.0.1".parse().unwrap(), cluster).unwrap();
        let who = |chain: &[CertificateDer<'static>]| {
            let (certified, proxied) = tls.peer(chain);
            (certified.map(|one| one.0.name), proxied.map(|one| one.0))
        };
        assert_eq!(who(std::slice::from_ref(&alice)), (Some("alice".to_owned()), None));
        assert_eq!(who(std::slice::from_ref(&front)), (None, Some("front".to_owned())));
        assert_eq!(who(std::slice::from_ref(&stranger)), (None, None));
        assert_eq!(who(&[]), (None, None));
    }
}

#[tokio::test]
async fn whoever_connects_and_does_not_say_what_he_wants_is_sent_away() {
    let dir = tempfile::tempdir().unwrap();
    let bind: IpAddr = "127.0.0.1".parse().unwrap();
    let flags = parsed(&[format!("--cert-dir={}", dir.path().display())]);
    let source = Source::new(&flags, bind);
    let tls = source.read(&Authorities::default()).unwrap();
    let reload = Reload {
        every: Duration::from_hours(1),
        read: Box::new(move || source.read(&Authorities::default())),
    };
    let listener = listen(SocketAddr::new(bind, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve(listener, tls, reload, whoami(), stop.clone()));
    let trusted = std::fs::read(dir.path().join(FILES[0])).unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(trusting(&trusted).with_no_client_auth()));
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n")
        .await
        .unwrap();
    stream.flush().await.unwrap();
    // From here on time passes as fast as nothing happens.
    tokio::time::pause();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(PATIENCE + Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "it is still waited for");
    stop.cancel();
    served.await.unwrap();
}
