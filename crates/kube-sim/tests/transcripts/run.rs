//! Runs the steps of one scenario.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use hyper::body::Bytes;
use kube_sim::KubeSim;
use serde_json::{Map, Value, json};

use crate::client::{self, Answer, Body, Client, Line};
use crate::compare::{Comparison, parts, remove, texts};
use crate::expand::{self, Skip, Variables};

/// How long a watch must stay quiet before it counts as having said everything, on the wall clock.
const QUIET: Duration = Duration::from_millis(60);
/// How long an event that is due may take.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Outcome {
    pub passed: usize,
    pub failed: usize,
    pub differences: Vec<String>,
}

struct Runner<'a> {
    sim: &'a KubeSim,
    address: SocketAddr,
    scenario: &'a Value,
    variables: Variables,
    client: Client,
    comparison: Comparison,
    headers: Vec<&'a str>,
    outcome: Outcome,
}

pub async fn run(sim: &KubeSim, address: SocketAddr, scenario: &Value) -> Outcome {
    let mut headers = vec!["content-type", "warning"];
    headers.extend(texts(&scenario["compareHeaders"]));
    let mut runner = Runner {
        sim,
        address,
        scenario,
        variables: Variables::from([("longname".to_owned(), json!("n".repeat(254)))]),
        client: Client::new(address),
        comparison: Comparison::new(),
        headers,
        outcome: Outcome::default(),
    };
    let steps: VecDeque<Value> = scenario["steps"].as_array().unwrap().iter().cloned().collect();
    for step in steps {
        runner.step(&step).await;
    }
    runner.outcome
}

impl Runner<'_> {
    async fn step(&mut self, step: &Value) {
        if let Some(seconds) = step["sleep"].as_f64() {
            self.sim.clock().sleep(Duration::from_secs_f64(seconds)).await;
            return;
        }
        let mut wrong = match self.perform(step).await {
            Ok(None) => return,
            Ok(Some(mut answer)) => {
                let missing = self.capture(step, &answer);
                self.prepare(step, &mut answer);
                let reused = self.scenario["checkConnection"] == true && step.get("watch").is_none();
                let mut wrong = self.comparison.step(step, &answer, &self.headers, reused);
                wrong.extend(self.check_token(step, &answer));
                wrong.extend(missing);
                wrong
            }
            Err(Skip(why)) => vec![format!("$: cannot run: {why}")],
        };
        if wrong.is_empty() {
            self.outcome.passed += 1;
        } else {
            self.outcome.failed += 1;
        }
        let id = step["id"].as_str().or(step["hook"].as_str()).unwrap_or_default();
        self.outcome
            .differences
            .extend(wrong.drain(..).map(|w| format!("{id}: {w}")));
    }

    /// Does what a step asks for; nothing for a hook.
    async fn perform(&mut self, step: &Value) -> Result<Option<Answer>, Skip> {
        if step["hook"] == "compact" {
            let revision = expand::text(step["arg"].as_str().unwrap(), &self.variables)?;
            self.sim.faults().compact_before(revision.parse().unwrap());
            return Ok(None);
        }
        if step.get("watch").is_some() {
            return Box::pin(self.watch(step)).await.map(Some);
        }
        let until = step["until"].as_object();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.client.send(self.request(step)?).await;
            let holds = until.is_none_or(|u| u.iter().all(|(key, wanted)| holds(&answer, key, wanted)));
            if holds || tokio::time::Instant::now() > deadline {
                return Ok(Some(answer));
            }
            self.sim.clock().sleep(Duration::from_millis(200)).await;
        }
    }

    fn request(&self, step: &Value) -> Result<Request<Body>, Skip> {
        let text = |t: &str| expand::text(t, &self.variables);
        let mut path = text(step["path"].as_str().unwrap())?;
        let mut pairs = Vec::new();
        for (name, value) in step["query"].as_object().into_iter().flatten() {
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            for value in values {
                let value = text(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))?;
                pairs.push(format!("{}={}", encode(name), encode(&value)));
            }
        }
        if !pairs.is_empty() {
            path = format!("{path}?{}", pairs.join("&"));
        }
        let mut headers = Map::new();
        headers.insert("user-agent".into(), json!("apiserver-replay/1.0"));
        headers.insert("accept".into(), json!("application/json"));
        headers.insert("accept-encoding".into(), json!("identity"));
        headers.insert("host".into(), json!(self.address.to_string()));
        let auth = text(step["auth"].as_str().unwrap_or("admin"))?;
        let token = if auth == "admin" {
            self.sim.admin_token().to_owned()
        } else {
            auth
        };
        if !token.is_empty() && token != "none" {
            headers.insert("authorization".into(), json!(format!("Bearer {token}")));
        }
        let body = match (step["rawBody"].as_str(), step.get("body")) {
            (Some(raw), _) => Some(text(raw)?),
            // The recorder wrote JSON with blanks after commas and colons, and one answer quotes that.
            (None, Some(body)) => Some(spaced(&expand::value(body, &self.variables)?)),
            (None, None) => None,
        };
        if body.is_some() {
            headers.insert("content-type".into(), json!("application/json"));
        }
        for (name, value) in step["headers"].as_object().into_iter().flatten() {
            let name = name.to_ascii_lowercase();
            headers.remove(&name);
            if let Some(value) = value.as_str() {
                headers.insert(name, json!(text(value)?));
            }
        }
        let mut request = Request::builder().method(step["method"].as_str().unwrap()).uri(path);
        for (name, value) in &headers {
            request = request.header(name, value.as_str().unwrap());
        }
        Ok(request.body(Body::from(Bytes::from(body.unwrap_or_default()))).unwrap())
    }

    async fn watch(&mut self, step: &Value) -> Result<Answer, Skip> {
        let options = &step["watch"];
        let mut watch = client::watch(self.address, self.request(step)?).await;
        if !watch.is_stream() {
            return Ok(watch.answer);
        }
        for inner in options["during"].as_array().cloned().unwrap_or_default() {
            self.step(&inner).await;
        }
        let until_closed = options["untilClosed"] == true;
        let expected = step["response"]["events"].as_array().map_or(0, Vec::len);
        let (mut events, mut closed) = (Vec::new(), false);
        loop {
            let due = until_closed || events.len() < expected;
            match watch.next(if due { PATIENCE } else { QUIET }).await {
                Line::Event(event) => {
                    // Periodic bookmarks come at no promised time.
                    let periodic =
                        event["type"] == "BOOKMARK" && event["object"]["metadata"].get("annotations").is_none();
                    if !periodic {
                        events.push(event);
                    }
                }
                Line::Closed => {
                    closed = true;
                    break;
                }
                Line::Quiet => break,
            }
        }
        let free = usize::try_from(options["anyOrder"].as_u64().unwrap_or(0))
            .unwrap()
            .min(events.len());
        events[..free].sort_by_key(|e| e["object"]["metadata"]["name"].to_string());
        let mut answer = watch.answer.clone();
        answer.events = Some(events);
        answer.closed = until_closed.then_some(closed);
        Ok(answer)
    }

    fn capture(&mut self, step: &Value, answer: &Answer) -> Vec<String> {
        let mut missing = Vec::new();
        for (name, pointer) in step["capture"].as_object().into_iter().flatten() {
            let found = answer.body.as_ref().and_then(|b| b.pointer(pointer.as_str().unwrap()));
            match found {
                Some(value) => {
                    self.variables.insert(name.clone(), value.clone());
                }
                None => missing.push(format!("$capture: no {pointer} in the answer")),
            }
        }
        missing
    }

    /// Drops and picks parts of bodies, as the recorder did.
    fn prepare(&self, step: &Value, answer: &mut Answer) {
        let keep = self.scenario["managedFields"] == true;
        let bodies = answer
            .body
            .iter_mut()
            .chain(answer.events.iter_mut().flatten().map(|e| &mut e["object"]));
        for body in bodies {
            managed_fields(body, keep);
            for (pointer, rule) in step["pick"].as_object().into_iter().flatten() {
                pick(body, &parts(pointer), rule);
            }
            for pointer in texts(&self.scenario["ignore"]).chain(texts(&step["ignore"])) {
                remove(body, &parts(pointer));
            }
        }
    }

    /// The header and the claims of a token.
    fn check_token(&mut self, step: &Value, answer: &Answer) -> Vec<String> {
        let Some(pointer) = step["jwt"].as_str() else {
            return Vec::new();
        };
        let token = answer
            .body
            .as_ref()
            .and_then(|b| b.pointer(pointer)?.as_str())
            .unwrap_or_default();
        let mut chunks: Vec<Value> = token
            .split('.')
            .take(2)
            .map(|c| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(c).unwrap_or_default()).unwrap_or_default())
            .collect();
        for (i, claim) in [(0, "kid"), (1, "exp"), (1, "iat"), (1, "nbf"), (1, "jti")] {
            if let Some(map) = chunks.get_mut(i).and_then(Value::as_object_mut) {
                map.remove(claim);
            }
        }
        let probe = json!({"response": {"status": answer.status, "body": step["response"]["jwt"]}, "stale": true});
        let found = Answer {
            status: answer.status,
            body: Some(json!(chunks)),
            ..Answer::default()
        };
        self.comparison.step(&probe, &found, &[], false)
    }
}

fn holds(answer: &Answer, key: &str, wanted: &Value) -> bool {
    if key == "status" {
        return *wanted == json!(answer.status);
    }
    match answer.body.as_ref().and_then(|b| b.pointer(key)) {
        None => wanted.is_null(),
        Some(found) if wanted == "*" => !matches!(found.as_str(), Some("")) && !found.is_null(),
        Some(found) => found == wanted,
    }
}

fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.extend(["%".to_owned(), format!("{other:02X}")]),
        }
    }
    out
}

fn spaced(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let members: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{}: {}", json!(k), spaced(v)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// Drops managed fields, or brings them into a fixed order: the server's depends on the clock.
fn managed_fields(value: &mut Value, keep: bool) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
                if !keep {
                    metadata.shift_remove("managedFields");
                } else if let Some(Value::Array(entries)) = metadata.get_mut("managedFields") {
                    let key = |e: &Value| {
                        ["operation", "manager", "subresource", "apiVersion"]
                            .map(|k| e[k].as_str().unwrap_or("").to_owned())
                    };
                    entries.sort_by_key(key);
                }
            }
            map.values_mut().for_each(|v| managed_fields(v, keep));
        }
        Value::Array(items) => items.iter_mut().for_each(|v| managed_fields(v, keep)),
        _ => {}
    }
}

fn pick(value: &mut Value, path: &[String], rule: &Value) {
    let [first, rest @ ..] = path else {
        let Value::Array(items) = value else { return };
        let key = |item: &Value| {
            let path = rule["key"].as_str().unwrap().split('.');
            path.fold(item.clone(), |at, step| at[step].clone())
                .as_str()
                .unwrap_or("None")
                .to_owned()
        };
        items.retain(|item| texts(&rule["values"]).any(|v| v == key(item)));
        if rule["sort"] == true {
            items.sort_by_key(key);
        }
        return;
    };
    match value {
        Value::Array(items) if first == "*" => items.iter_mut().for_each(|v| pick(v, rest, rule)),
        Value::Object(map) => {
            if let Some(inner) = map.get_mut(first) {
                pick(inner, rest, rule);
            }
        }
        _ => {}
    }
}
