//! Answers: media types, encodings and headers.

use std::io::Write;

use axum::body::Body;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY, WARNING,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::field::go_quote;
use crate::status::Status;

/// Answers of at least this many bytes are compressed when the client takes gzip.
const COMPRESS_FROM: usize = 128 * 1024;
const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

/// What an answer carries.
#[derive(Debug)]
pub(crate) enum Payload {
    Object(Value),
    /// An object that is JSON already.
    Json(Vec<u8>),
    /// An object in a media type of its own, such as aggregated discovery.
    Typed(Value, String),
    Text(String),
    /// Text that did not go through Go's `http.Error`.
    PlainText(String),
    Stream(Body),
}

/// An answer before it is encoded.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub payload: Payload,
    pub warnings: Vec<String>,
}

impl Answer {
    pub fn new(status: u16, payload: Payload) -> Self {
        Self {
            status,
            payload,
            warnings: Vec::new(),
        }
    }

    pub fn ok(object: Value) -> Self {
        Self::new(200, Payload::Object(object))
    }

    pub fn text(status: u16, text: &str) -> Self {
        Self::new(status, Payload::Text(text.to_owned()))
    }

    /// What Go's mux says about a path that nobody serves.
    pub fn not_found() -> Self {
        Self::text(404, "404 page not found\n")
    }

    pub fn warn(mut self, warnings: Vec<String>) -> Self {
        self.warnings.extend(warnings);
        self
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self::new(status.code(), Payload::Object(status.to_value()))
    }
}

/// One media type of an Accept header with what the API reads from its parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub media: String,
    pub as_kind: String,
    pub group: String,
    pub version: String,
}

/// The media types of an Accept header, best first as the client ordered them.
pub(crate) fn accepted(headers: &HeaderMap) -> Vec<Accepted> {
    let header = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut weighted: Vec<(Accepted, f32)> = Vec::new();
    for part in header.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let mut pieces = part.split(';').map(str::trim);
        let mut found = Accepted {
            media: pieces.next().unwrap_or_default().to_ascii_lowercase(),
            ..Accepted::default()
        };
        let mut weight = 1.0;
        for piece in pieces {
            match piece.split_once('=').unwrap_or((piece, "")) {
                ("as", value) => value.clone_into(&mut found.as_kind),
                ("g", value) => value.clone_into(&mut found.group),
                ("v", value) => value.clone_into(&mut found.version),
                ("q", value) => weight = value.parse().unwrap_or(0.0),
                _ => {}
            }
        }
        weighted.push((found, weight));
    }
    weighted.sort_by(|a, b| b.1.total_cmp(&a.1));
    weighted.into_iter().map(|(found, _)| found).collect()
}

/// The encoding of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Yaml,
}

/// The form of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    Table,
    Metadata,
    MetadataList,
}

/// Picks what the client takes first; nothing fits is 406.
pub(crate) fn negotiate(headers: &HeaderMap, watch: bool) -> Result<(Media, Form), Status> {
    let wanted = accepted(headers);
    if wanted.is_empty() {
        return Ok((Media::Json, Form::Whole));
    }
    for one in wanted {
        let media = match one.media.as_str() {
            "application/json" | "*/*" | "application/*" => Media::Json,
            "application/yaml" => Media::Yaml,
            _ => continue,
        };
        let known = one.group.is_empty() || one.group == "meta.k8s.io" && one.version == "v1";
        match (one.as_kind.as_str(), known) {
            ("", _) => return Ok((media, Form::Whole)),
            ("Table", true) => return Ok((media, Form::Table)),
            ("PartialObjectMetadata", true) => return Ok((media, Form::Metadata)),
            ("PartialObjectMetadataList", true) => return Ok((media, Form::MetadataList)),
            _ => {}
        }
    }
    let mut known = "application/json, application/yaml, application/vnd.kubernetes.protobuf".to_owned();
    if watch {
        known.push_str(", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch");
    }
    let message = format!("406: Not Acceptable\n\nAvailable representations: {known}");
    Err(Status::new(406, "NotAcceptable", message).with_details(serde_json::json!({})))
}

/// Encodes an answer for the client that sent `headers`.
pub(crate) fn encode(headers: &HeaderMap, answer: Answer) -> Response<Body> {
    let mut out =
        Response::builder().status(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    for warning in &answer.warnings {
        if let Ok(value) = HeaderValue::from_str(&format!("299 - {}", go_quote(warning))) {
            out = out.header(WARNING, value);
        }
    }
    out = out.header(CACHE_CONTROL, "no-cache, private");
    let retry_after = match &answer.payload {
        Payload::Object(value) => value["details"]["retryAfterSeconds"].as_u64(),
        _ => None,
    };
    if let Some(seconds) = retry_after.or((answer.status == 429).then_some(1)) {
        out = out.header(RETRY_AFTER, seconds);
    }
    let (content_type, bytes) = match answer.payload {
        Payload::Stream(body) => {
            return finish(out.header(CONTENT_TYPE, "application/json"), body);
        }
        Payload::Text(text) => {
            out = out.header(NO_SNIFF, "nosniff");
            ("text/plain; charset=utf-8".to_owned(), text.into_bytes())
        }
        Payload::PlainText(text) => ("text/plain; charset=utf-8".to_owned(), text.into_bytes()),
        Payload::Json(mut bytes) => {
            bytes.push(b'\n');
            ("application/json".to_owned(), bytes)
        }
        Payload::Typed(value, media) => (media, json_line(&value)),
        Payload::Object(value) => {
            if value["kind"] == "Status" && value["status"] == "Failure" && matches!(answer.status, 403) {
                out = out.header(NO_SNIFF, "nosniff");
            }
            match negotiate(headers, false) {
                Ok((Media::Yaml, _)) => ("application/yaml".to_owned(), yaml(&value)),
                _ => ("application/json".to_owned(), json_line(&value)),
            }
        }
    };
    out = out.header(CONTENT_TYPE, content_type);
    let takes_gzip = headers
        .get(ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| {
            v.split(',')
                .any(|e| e.split(';').next().is_some_and(|n| n.trim() == "gzip"))
        });
    if takes_gzip && bytes.len() >= COMPRESS_FROM {
        let packed = gzip(&bytes);
        return finish(
            out.header(CONTENT_ENCODING, "gzip").header(VARY, "Accept-Encoding"),
            Body::from(packed),
        );
    }
    finish(out, Body::from(bytes))
}

/// An answer that breaks off before its body: what a client sees when the connection is cut.
pub(crate) fn cut() -> Response<Body> {
    let broken = futures::stream::once(async {
        Err::<axum::body::Bytes, _>(std::io::Error::new(
            std::io::ErrorKind::ConnectionReset,
            "the connection was cut",
        ))
    });
    finish(
        Response::builder().header(CONTENT_TYPE, "application/json"),
        Body::from_stream(broken),
    )
}

fn finish(out: http::response::Builder, body: Body) -> Response<Body> {
    out.body(body).expect("the headers were made here and are well formed")
}

fn json_line(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn yaml(value: &Value) -> Vec<u8> {
    serde_saphyr::to_string(&sorted(value)).unwrap_or_default().into_bytes()
}

/// The same value with members in the order of their names, as the real server writes YAML.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            Value::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (name.clone(), sorted(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
