//! HTTP/1.1 over one connection that is kept as long as the server keeps it.

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

pub type Body = Full<Bytes>;

/// An answer, read to its end.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Option<Value>,
    pub text: Option<String>,
    pub events: Option<Vec<Value>>,
    pub closed: Option<bool>,
    pub reused: bool,
}

pub struct Client {
    address: SocketAddr,
    connection: Option<SendRequest<Body>>,
}

pub async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    pub async fn send(&mut self, request: Request<Body>) -> Answer {
        let mut kept = self.connection.take();
        if let Some(sender) = &mut kept
            && sender.ready().await.is_err()
        {
            kept = None;
        }
        let reused = kept.is_some();
        let mut sender = match kept {
            Some(sender) => sender,
            None => connect(self.address).await,
        };
        let response = sender.send_request(request).await.unwrap();
        let (mut answer, response) = head(response);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        content(&mut answer, &bytes);
        answer.reused = reused;
        let closes = answer
            .headers
            .iter()
            .any(|(name, value)| name == "connection" && value == "close");
        if !closes {
            self.connection = Some(sender);
        }
        answer
    }
}

fn head(response: Response<Incoming>) -> (Answer, Response<Incoming>) {
    let headers = response
        .headers()
        .iter()
        .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
    let answer = Answer {
        status: response.status().as_u16(),
        headers: headers.collect(),
        ..Answer::default()
    };
    (answer, response)
}

fn content(answer: &mut Answer, bytes: &[u8]) {
    let header = |name: &str| {
        answer
            .headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.clone())
            .unwrap_or_default()
    };
    let mut bytes = bytes.to_vec();
    if header("content-encoding") == "gzip" {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_end(&mut plain)
            .unwrap();
        bytes = plain;
    }
    if header("content-type").starts_with("application/json")
        && let Ok(body) = serde_json::from_slice(&bytes)
    {
        answer.body = Some(body);
    } else if !bytes.is_empty() {
        answer.text = Some(String::from_utf8_lossy(&bytes).into_owned());
    }
}

/// A watch whose headers are here.
pub struct Watch {
    pub answer: Answer,
    response: Option<Response<Incoming>>,
    buffer: Vec<u8>,
    // The connection lives as long as its sender.
    _sender: SendRequest<Body>,
}

/// Opens a watch on a connection of its own. An answer that is no stream is read to its end.
pub async fn watch(address: SocketAddr, request: Request<Body>) -> Watch {
    let mut sender = connect(address).await;
    let response = sender.send_request(request).await.unwrap();
    let (mut answer, response) = head(response);
    let stream = answer.status == 200 && !answer.headers.iter().any(|(name, _)| name == "content-length");
    let response = if stream {
        Some(response)
    } else {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        content(&mut answer, &bytes);
        None
    };
    Watch {
        answer,
        response,
        buffer: Vec::new(),
        _sender: sender,
    }
}

/// What reading a line of a watch came to.
pub enum Line {
    Event(Value),
    Quiet,
    Closed,
}

impl Watch {
    pub fn is_stream(&self) -> bool {
        self.response.is_some()
    }

    /// The next event, unless nothing comes for `patience`.
    pub async fn next(&mut self, patience: Duration) -> Line {
        let Some(response) = &mut self.response else {
            return Line::Closed;
        };
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Line::Event(serde_json::from_slice(&line).unwrap());
            }
            match tokio::time::timeout(patience, response.frame()).await {
                Err(_) => return Line::Quiet,
                Ok(None | Some(Err(_))) => return Line::Closed,
                Ok(Some(Ok(frame))) => self.buffer.extend(frame.data_ref().into_iter().flatten()),
            }
        }
    }
}
