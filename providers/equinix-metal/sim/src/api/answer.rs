//! Answers as they go over the wire.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use crate::failure::Failure;

/// What a handler gives.
pub(crate) type Answer = Result<Response, Failure>;

/// An answer with a JSON body: a value, or what is JSON already.
pub(crate) fn json_response(status: StatusCode, body: &impl ToString) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}

/// An answer without a body.
pub(crate) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
