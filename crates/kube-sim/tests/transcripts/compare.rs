//! Compares an answer with the recorded one. Placeholders such as `<uid:1>` stand for values that differ from run to run: they
//! have a form, and equal placeholders stand for equal values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use regex::Regex;
use serde_json::{Value, json};

use crate::client::Answer;

/// What stands for a placeholder.
const FORMS: &[(&str, &str)] = &[
    ("uid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    ("rv", "[1-9][0-9]*"),
    ("listrv", "[1-9][0-9]*"),
    ("num", "[0-9]+"),
    ("time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    ("microtime", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"),
    ("continue", "[A-Za-z0-9+/=_.-]+"),
    ("jwt", r"[\w-]+\.[\w-]+\.[\w-]+"),
    ("clusterip", r"\d+\.\d+\.\d+\.\d+"),
    ("nodeport", r"3[0-2]\d{3}"),
    ("gen", "[bcdfghjklmnpqrstvwxz2456789]{5}"),
    ("age", "<invalid>|<unknown>|\\d+[smhdy](?:\\d+[smhd])?"),
    ("text", r"[\s\S]*"),
];

pub struct Comparison {
    placeholder: Regex,
    /// What each numbered placeholder has stood for so far.
    bound: BTreeMap<(String, u64), String>,
    newest_list: u64,
    lists: Vec<(String, u64)>,
    writes: bool,
    pub differences: Vec<String>,
}

impl Comparison {
    pub fn new() -> Self {
        let names: Vec<&str> = FORMS.iter().map(|(name, _)| *name).collect();
        Self {
            placeholder: Regex::new(&format!("<({})(?::(\\d+))?>", names.join("|"))).unwrap(),
            bound: BTreeMap::new(),
            newest_list: 0,
            lists: Vec::new(),
            writes: false,
            differences: Vec::new(),
        }
    }

    fn fail(&mut self, path: &str, wanted: impl Display, found: impl Display) {
        let brief = |value: &dyn Display| {
            value
                .to_string()
                .chars()
                .take(300)
                .collect::<String>()
                .replace('\n', "\\n")
        };
        self.differences
            .push(format!("{path}: expected {}, got {}", brief(&wanted), brief(&found)));
    }

    /// Compares the answer to one step; gives the differences.
    pub fn step(&mut self, step: &Value, answer: &Answer, headers: &[&str], reused: bool) -> Vec<String> {
        self.differences.clear();
        self.lists.clear();
        let wanted = &step["response"];
        self.writes = matches!(step["method"].as_str(), Some("POST" | "PUT" | "PATCH"));
        if wanted["status"] != json!(answer.status) {
            let hint = answer
                .body
                .as_ref()
                .map(|b| b["message"].clone())
                .or_else(|| answer.text.clone().map(Value::from));
            self.fail(
                "$status",
                &wanted["status"],
                format!("{} {}", answer.status, hint.unwrap_or_default()),
            );
            return std::mem::take(&mut self.differences);
        }
        if step["quiet"] == true {
            return Vec::new();
        }
        for name in headers {
            let found: Vec<&str> = answer
                .headers
                .iter()
                .filter(|(n, _)| n == name)
                .map(|(_, v)| v.as_str())
                .collect();
            let found = match found.as_slice() {
                [] => Value::Null,
                many if *name == "warning" => json!(many),
                many => json!(many.join(", ")),
            };
            self.value(&format!("$header.{name}"), &wanted["headers"][*name], &found);
        }
        if let (Some(wanted), Some(body)) = (wanted.get("body"), &answer.body) {
            let (mut wanted, mut body) = (wanted.clone(), body.clone());
            for pointer in texts(&step["informative"]) {
                remove(&mut wanted, &parts(pointer));
                remove(&mut body, &parts(pointer));
            }
            self.value("$", &wanted, &body);
        } else if wanted.get("body").is_some() != answer.body.is_some() {
            self.fail("$", &wanted["body"], answer.body.clone().unwrap_or_default());
        }
        if reused {
            self.value("$reusedConnection", &wanted["reusedConnection"], &json!(answer.reused));
        }
        if let Some(closed) = wanted.get("closed") {
            self.value("$closed", closed, &json!(answer.closed));
        }
        let text = answer.text.clone().unwrap_or_default();
        if let Some(pattern) = step["text"].as_str() {
            if !Regex::new(pattern).unwrap().is_match(&text) {
                self.fail("$text", pattern, text);
            }
        } else if let Some(wanted) = wanted.get("text") {
            self.value("$text", wanted, &json!(text));
        }
        match (wanted["events"].as_array(), &answer.events) {
            (Some(wanted), found) => self.events(wanted, found.as_deref().unwrap_or_default()),
            _ if step["stale"] == true => {}
            _ => {
                let newest = self
                    .bound
                    .iter()
                    .filter(|((k, _), _)| k == "rv")
                    .map(|(_, v)| number(v))
                    .max()
                    .unwrap_or(0);
                for (path, listed) in std::mem::take(&mut self.lists) {
                    if listed < newest {
                        self.fail(&path, format!("at least {newest}, the newest version seen"), listed);
                    }
                    self.newest_list = self.newest_list.max(listed);
                }
            }
        }
        std::mem::take(&mut self.differences)
    }

    fn events(&mut self, wanted: &[Value], found: &[Value]) {
        let mut newest = 0;
        for i in 0..wanted.len().max(found.len()) {
            let path = format!("$event[{i}]");
            let (Some(want), Some(have)) = (wanted.get(i), found.get(i)) else {
                let show = |event: Option<&Value>| event.map_or("nothing".to_owned(), ToString::to_string);
                self.fail(&path, show(wanted.get(i)), show(found.get(i)));
                continue;
            };
            self.lists.clear();
            self.value(&path, want, have);
            for (path, listed) in std::mem::take(&mut self.lists) {
                if listed < newest {
                    self.fail(&path, format!("at least {newest}, sent before in this watch"), listed);
                }
            }
            newest = newest.max(have["object"]["metadata"]["resourceVersion"].as_str().map_or(0, number));
        }
    }

    fn value(&mut self, path: &str, want: &Value, have: &Value) {
        match (want, have) {
            (Value::Object(wanted), Value::Object(found)) => {
                let mut rest: BTreeSet<&String> = found.keys().collect();
                for (key, want) in wanted {
                    let mut actual = Some(key).filter(|k| found.contains_key(*k));
                    if actual.is_none() && self.placeholder.is_match(key) {
                        let (pattern, _) = self.pattern(key);
                        actual = found.keys().find(|k| !wanted.contains_key(*k) && pattern.is_match(k));
                    }
                    match actual.and_then(|k| Some((k, found.get(k)?))) {
                        Some((name, have)) => {
                            rest.remove(name);
                            self.value(&format!("{path}.{key}"), want, have);
                        }
                        None => self.fail(&format!("{path}.{key}"), want, "(absent)"),
                    }
                }
                for key in rest {
                    self.fail(&format!("{path}.{key}"), "(absent)", &found[key]);
                }
            }
            (Value::Array(wanted), Value::Array(found)) => {
                if wanted.len() != found.len() {
                    self.fail(
                        path,
                        format!("{} elements {want}", wanted.len()),
                        format!("{} elements {have}", found.len()),
                    );
                }
                for (i, (want, have)) in wanted.iter().zip(found).enumerate() {
                    self.value(&format!("{path}[{i}]"), want, have);
                }
            }
            (Value::String(want), _) if want.starts_with("<long:") => {
                let length = have.as_str().map_or(0, |t| t.chars().count());
                if *want != format!("<long:{length}>") {
                    self.fail(path, want, have);
                }
            }
            (Value::String(want), _) if self.placeholder.is_match(want) => self.placeholders(path, want, have),
            _ if want == have => {}
            _ => self.fail(path, want, have),
        }
    }

    fn pattern(&self, want: &str) -> (Regex, Vec<(String, Option<u64>)>) {
        let (mut names, mut pattern, mut position) = (Vec::new(), String::from("^"), 0);
        for found in self.placeholder.captures_iter(want) {
            let whole = found.get(0).unwrap();
            let form = FORMS.iter().find(|(name, _)| *name == &found[1]).unwrap().1;
            pattern.push_str(&regex::escape(&want[position..whole.start()]));
            pattern.extend(["(", form, ")"]);
            names.push((found[1].to_owned(), found.get(2).map(|n| n.as_str().parse().unwrap())));
            position = whole.end();
        }
        pattern.push_str(&regex::escape(&want[position..]));
        pattern.push('$');
        (Regex::new(&pattern).unwrap(), names)
    }

    fn placeholders(&mut self, path: &str, want: &str, have: &Value) {
        let (pattern, names) = self.pattern(want);
        let text = match have {
            Value::String(text) => text.clone(),
            Value::Number(n) if names[0].0 == "nodeport" => n.to_string(),
            _ => return self.fail(path, want, have),
        };
        let Some(found) = pattern.captures(&text) else {
            return self.fail(path, want, have);
        };
        let values: Vec<String> = found.iter().skip(1).map(|m| m.unwrap().as_str().to_owned()).collect();
        for ((kind, index), value) in names.into_iter().zip(values) {
            if kind == "listrv" {
                self.lists.push((path.to_owned(), number(&value)));
            }
            if let Some(index) = index {
                self.bind(path, &kind, index, value);
            }
        }
    }

    /// Equal placeholders stand for equal values, different ones for different values; versions also keep their order.
    fn bind(&mut self, path: &str, kind: &str, index: u64, value: String) {
        if let Some(known) = self.bound.get(&(kind.to_owned(), index)).cloned() {
            if known != value {
                self.fail(path, format!("{known} again (<{kind}:{index}>)"), value);
            }
            return;
        }
        let others: Vec<(u64, String)> = self
            .bound
            .iter()
            .filter(|((k, _), _)| k == kind)
            .map(|((_, i), v)| (*i, v.clone()))
            .collect();
        for (other, seen) in &others {
            if kind == "rv" {
                if (number(seen) < number(&value)) != (*other < index) {
                    let order = if *other < index { "greater" } else { "less" };
                    self.fail(path, format!("{order} than {seen} (<rv:{other}>)"), &value);
                }
            } else if *seen == value {
                self.fail(path, format!("not {seen} (<{kind}:{other}>)"), &value);
            }
        }
        let latest = others.iter().all(|(other, _)| *other < index);
        if kind == "rv" && self.writes && latest && !others.is_empty() && number(&value) < self.newest_list {
            self.fail(
                path,
                format!("greater than {}, a version listed before", self.newest_list),
                &value,
            );
        }
        self.bound.insert((kind.to_owned(), index), value);
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

/// The texts of a list, none when it is missing.
pub fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The steps of a pointer.
pub fn parts(pointer: &str) -> Vec<String> {
    pointer
        .split('/')
        .skip(1)
        .map(|p| p.replace("~1", "/").replace("~0", "~"))
        .collect()
}

/// Removes what a path with `*` wildcards reaches.
pub fn remove(value: &mut Value, path: &[String]) {
    let [first, rest @ ..] = path else { return };
    match value {
        Value::Object(map) if rest.is_empty() && first == "*" => map.clear(),
        Value::Object(map) if rest.is_empty() => {
            map.shift_remove(first);
        }
        Value::Object(map) if first == "*" => map.values_mut().for_each(|v| remove(v, rest)),
        Value::Object(map) => {
            if let Some(value) = map.get_mut(first) {
                remove(value, rest);
            }
        }
        Value::Array(items) if first == "*" && !rest.is_empty() => items.iter_mut().for_each(|v| remove(v, rest)),
        Value::Array(items) => {
            if let Some(item) = first.parse::<usize>().ok().and_then(|i| items.get_mut(i)) {
                remove(item, rest);
            }
        }
        _ => {}
    }
}
