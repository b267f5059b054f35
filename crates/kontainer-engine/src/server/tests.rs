use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::*;
use crate::client::{Client, ClientError};
use crate::logstream::{Level, LogStream};
use crate::wire::{ClusterInfo, DriverFlags, DriverOptions};
use crate::{Call, Capability, CreateError, DriverError, OptionSpec, OptionTable, Options};

/// A driver that does what the option `behave` says.
struct Actor {
    options: OptionTable,
    /// Cancelled when a call that hangs has begun.
    begun: CancellationToken,
    /// Cancelled when that call noticed that nobody waits for it.
    noticed: CancellationToken,
}

#[async_trait]
impl Driver for Actor {
    fn name(&self) -> &'static str {
        "actor"
    }

    fn options(&self) -> &OptionTable {
        &self.options
    }

    fn capabilities(&self) -> &[Capability] {
        &[Capability::GetVersion, Capability::GetClusterSize]
    }

    async fn create_flags(&self, _: &Call) -> DriverFlags {
        let mut flags = self.options.create_flags().clone();
        if let Some(flag) = flags.options.get_mut("behave") {
            "as asked".clone_into(&mut flag.value);
        }
        flags
    }

    fn refused(&self, options: &Options, previous: Option<ClusterInfo>) -> Option<ClusterInfo> {
        Some(ClusterInfo {
            version: options.string_or_default("behave").to_owned(),
            ..previous.unwrap_or_default()
        })
    }

    async fn create(
        &self,
        call: &Call,
        options: &Options,
        previous: Option<ClusterInfo>,
    ) -> Result<ClusterInfo, CreateError> {
        let info = ClusterInfo {
            version: "1.31".to_owned(),
            metadata: previous.map(|info| info.metadata).unwrap_or_default(),
            ..ClusterInfo::default()
        };
        match options.string_or_default("behave") {
            "fail" => Err(DriverError::permanent("no quota left")
                .caused_by(std::io::Error::other("limit is 3"))
                .into()),
            "fold" => Err(CreateError::keeping(DriverError::transient("half done"), info)),
            "panic" => panic!("deliberate"),
            "hang" => {
                self.begun.cancel();
                call.cancelled().await;
                self.noticed.cancel();
                Err(DriverError::cancelled().into())
            }
            "log" => {
                call.step("making nodes");
                call.warn("slow today");
                Ok(info)
            }
            "long" => Err(DriverError::permanent("ä".repeat(100_000)).into()),
            _ => Ok(info),
        }
    }

    async fn update(&self, _: &Call, info: ClusterInfo, _: &Options) -> Result<ClusterInfo, DriverError> {
        Ok(info)
    }

    async fn post_check(&self, _: &Call, info: ClusterInfo) -> Result<ClusterInfo, DriverError> {
        Ok(info)
    }

    async fn remove(&self, _: &Call, _: ClusterInfo) -> Result<(), DriverError> {
        Ok(())
    }
}

struct Running {
    client: Client,
    address: SocketAddr,
    stop: CancellationToken,
    begun: CancellationToken,
    noticed: CancellationToken,
    serving: tokio::task::JoinHandle<Result<(), ServerError>>,
}

async fn start() -> Running {
    let (begun, noticed) = (CancellationToken::new(), CancellationToken::new());
    let driver = Actor {
        options: OptionTable::new(&[
            OptionSpec::string("behave", "what to do"),
            OptionSpec::int("size", "how much"),
        ])
        .unwrap(),
        begun: begun.clone(),
        noticed: noticed.clone(),
    };
    let server = Server::bind(Arc::new(driver), "127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let address = server.address();
    let stop = CancellationToken::new();
    Running {
        client: Client::new(address),
        address,
        serving: tokio::spawn(server.serve(stop.clone())),
        stop,
        begun,
        noticed,
    }
}

fn behave(how: &str) -> DriverOptions {
    DriverOptions {
        string_options: [("behave".to_owned(), how.to_owned())].into(),
        ..DriverOptions::default()
    }
}

#[tokio::test]
async fn only_loopback_is_served_and_the_bound_port_is_told() {
    let running = start().await;
    assert!(running.address.port() > 0);
    let table = OptionTable::new(&[]).unwrap();
    let driver = Arc::new(Actor {
        options: table,
        begun: CancellationToken::new(),
        noticed: CancellationToken::new(),
    });
    for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        let refused = Server::bind(driver.clone(), address.parse().unwrap()).await;
        assert!(matches!(refused, Err(ServerError::NotLoopback(_))), "{address}");
    }
    let taken = Server::bind(driver, running.address).await;
    assert!(matches!(taken, Err(ServerError::Listen { .. })));
}

#[tokio::test]
async fn options_that_make_no_sense_leave_a_record_of_what_the_driver_keeps() {
    let running = start().await;
    let mut options = behave("keep this");
    options.string_options.insert("size".to_owned(), "many".to_owned());
    let previous = ClusterInfo {
        endpoint: "https://earlier".to_owned(),
        ..ClusterInfo::default()
    };
    let failed = running.client.create(options, Some(previous)).await.unwrap_err();
    assert!(
        failed.error.to_string().contains("size must be a whole number"),
        "{}",
        failed.error
    );
    let kept = failed.info.unwrap();
    assert_eq!(
        (kept.version.as_str(), kept.endpoint.as_str()),
        ("keep this", "https://earlier")
    );
}

#[tokio::test]
async fn a_driver_may_ask_somebody_for_a_default() {
    let running = start().await;
    let flags = running.client.create_flags().await.unwrap();
    assert_eq!(flags.options["behave"].value, "as asked");
    assert_eq!(running.client.update_flags().await.unwrap().options["behave"].value, "");
}

#[tokio::test]
async fn capabilities_and_flags_are_answered() {
    let running = start().await;
    let capabilities = running.client.capabilities().await.unwrap();
    assert!(capabilities.has(Capability::GetVersion) && !capabilities.has(Capability::SetVersion));
    assert_eq!(
        running.client.create_flags().await.unwrap().options["size"].r#type,
        "int"
    );
    assert_eq!(running.client.update_flags().await.unwrap().options.len(), 2);
}

#[tokio::test]
async fn a_drivers_error_is_told_in_its_own_words_with_its_causes() {
    let running = start().await;
    let failed = running.client.create(behave("fail"), None).await.unwrap_err();
    assert_eq!(failed.to_string(), "no quota left: limit is 3");
    assert!(failed.info.is_none());
    let default = running.client.version(ClusterInfo::default()).await.unwrap_err();
    assert_eq!(
        default.to_string(),
        "reading the Kubernetes version is not implemented by this driver"
    );
    let etcd = running
        .client
        .etcd_save(ClusterInfo::default(), DriverOptions::default(), "s");
    assert_eq!(
        etcd.await.unwrap_err().to_string(),
        "ETCD backup operations are not implemented"
    );
}

#[tokio::test]
async fn a_failed_create_brings_its_state_home() {
    let running = start().await;
    let previous = ClusterInfo {
        metadata: [("state".to_owned(), "{}".to_owned())].into(),
        ..ClusterInfo::default()
    };
    let failed = running.client.create(behave("fold"), Some(previous)).await.unwrap_err();
    assert_eq!(failed.error, ClientError::Driver("half done".to_owned()));
    assert_eq!(failed.info.unwrap().metadata["state"], "{}");
}

#[tokio::test]
async fn a_panic_ends_the_call_and_not_the_server() {
    let running = start().await;
    let failed = running.client.create(behave("panic"), None).await.unwrap_err();
    assert_eq!(
        failed.error,
        ClientError::Driver("the driver panicked in Create; its log has the details".to_owned())
    );
    assert!(running.client.create(behave(""), None).await.is_ok());
}

#[tokio::test]
async fn wrong_options_are_told_before_the_driver_is_asked() {
    let running = start().await;
    let mut options = behave("panic");
    options.string_options.insert("size".into(), "big".into());
    let failed = running.client.create(options, None).await.unwrap_err();
    assert_eq!(failed.to_string(), "size must be a whole number");
}

#[tokio::test]
async fn a_call_is_cancelled_when_its_caller_goes_away() {
    let running = start().await;
    tokio::select! {
        _ = running.client.create(behave("hang"), None) => panic!("the call ended"),
        () = running.begun.cancelled() => {}
    }
    running.noticed.cancelled().await;
}

#[tokio::test]
async fn stopping_cancels_calls_and_lets_them_answer() {
    let running = start().await;
    let client = running.client.clone();
    let call = tokio::spawn(async move { client.create(behave("hang"), None).await });
    running.begun.cancelled().await;
    running.stop.cancel();
    let failed = call.await.unwrap().unwrap_err();
    assert_eq!(failed.to_string(), "the call was cancelled before it was done");
    running.serving.await.unwrap().unwrap();
    let gone = Client::new(running.address).capabilities().await.unwrap_err();
    assert!(
        matches!(
            gone,
            ClientError::Rpc {
                code: Code::Unavailable,
                ..
            }
        ),
        "{gone}"
    );
}

#[tokio::test]
async fn log_lines_reach_the_callers_stream() {
    let running = start().await;
    let stream = LogStream::open();
    let client = running.client.clone().with_log_id(stream.id());
    client.create(behave("log"), None).await.unwrap();
    let step = stream.next().await;
    assert_eq!((step.level, step.message.as_str()), (Level::Step, "making nodes"));
    assert_eq!(stream.next().await.level, Level::Warn);
}

#[tokio::test]
async fn too_large_a_message_is_refused_and_the_connection_lives_on() {
    let running = start().await;
    let refused = running
        .client
        .create(behave(&"x".repeat(crate::wire::MAX_MESSAGE_BYTES + 1)), None)
        .await
        .unwrap_err();
    assert!(
        matches!(
            refused.error,
            ClientError::Rpc {
                code: Code::OutOfRange,
                ..
            }
        ),
        "{refused}"
    );
    assert!(running.client.capabilities().await.is_ok());
}

#[tokio::test]
async fn a_very_long_error_is_shortened_so_that_it_arrives() {
    let running = start().await;
    let failed = running.client.create(behave("long"), None).await.unwrap_err();
    assert!(failed.to_string().starts_with("ää") && failed.to_string().ends_with('…'));
}

#[tokio::test]
async fn an_unknown_service_is_named_and_an_unknown_method_is_refused() {
    let running = start().await;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", running.address)).unwrap();
    let mut client = tonic::client::Grpc::new(endpoint.connect_lazy());
    for (path, message) in [
        ("/types.Drivers/Create", "unknown service types.Drivers"),
        ("/", "unknown service "),
        ("/types.Driver/Destroy", ""),
        ("/types.Driver", ""),
    ] {
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
        let status = client.unary(tonic::Request::new(()), path, codec).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Unimplemented, message));
    }
}

#[tokio::test]
async fn reflection_is_there_in_both_versions() {
    use tonic_reflection::pb::{v1, v1alpha};
    let running = start().await;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", running.address)).unwrap();
    let channel = endpoint.connect_lazy();

    let ask = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let mut answers = client
        .server_reflection_info(tokio_stream::once(ask))
        .await
        .unwrap()
        .into_inner();
    let answer = format!("{:?}", answers.message().await.unwrap());
    assert!(answer.contains("types.Driver"), "{answer}");

    let ask = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol("types.Driver".into()),
        ),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = client
        .server_reflection_info(tokio_stream::once(ask))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    assert!(
        matches!(
            answer,
            Some(v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(_))
        ),
        "{answer:?}"
    );
}
