//! The services of a driver's port: the driver itself, and reflection for whoever comes with a general gRPC client.

use std::convert::Infallible;

use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::codegen::http::{Request, Response};
use tonic_reflection::pb::{v1, v1alpha};
use tonic_reflection::server::Builder;

use super::service::Service;
use crate::wire::driver_server::{self, DriverServer};
use crate::wire::{FILE_DESCRIPTOR_SET, MAX_MESSAGE_BYTES};

/// Hands a request to the service that its path names, as `/package.Service/Method`.
pub(super) async fn serve(service: Service, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path();
    let name = path.strip_prefix('/').and_then(|path| path.split('/').next());
    match name.unwrap_or_default() {
        driver_server::SERVICE_NAME => {
            let mut server = DriverServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES);
            server.call(request).await
        }
        v1::server_reflection_server::SERVICE_NAME => match reflection().build_v1() {
            Ok(mut server) => server.call(request).await,
            Err(error) => Ok(broken(&error)),
        },
        v1alpha::server_reflection_server::SERVICE_NAME => match reflection().build_v1alpha() {
            Ok(mut server) => server.call(request).await,
            Err(error) => Ok(broken(&error)),
        },
        name => Ok(Status::unimplemented(format!("unknown service {name}")).into_http()),
    }
}

/// Made when somebody asks: engines do not, and every driver would keep it in memory.
fn reflection() -> Builder<'static> {
    Builder::configure().register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
}

fn broken(error: &tonic_reflection::server::Error) -> Response<Body> {
    Status::internal(format!("setting up gRPC reflection failed: {}", kit::chain(error))).into_http()
}
