//! Lists in pages.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::ask::Ask;
use crate::failure::Failure;

/// The most entries a client may ask for at once.
const MOST: usize = 1000;
/// The last page a client may ask for.
const LAST: usize = 100_000;

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    number: usize,
    size: usize,
}

impl Page {
    /// What the query asks for: pages are counted from 1 and have `default` entries unless it says otherwise. The server
    /// may have a `limit` of its own.
    pub(crate) fn of(ask: &Ask, default: usize, limit: Option<usize>) -> Result<Self, Failure> {
        let number = |name: &str, default: usize, most: usize| match ask.param(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|n| (1..=most).contains(n))
                .ok_or_else(|| Failure::invalid(format!("{name} must be a number between 1 and {most}"))),
        };
        let size = number("per_page", default, MOST)?;
        Ok(Self {
            number: number("page", 1, LAST)?,
            size: limit.map_or(size, |limit| size.min(limit)),
        })
    }

    /// The page of this list: its entries by the name of the list, and what there is to know about it. Each entry is written
    /// out as soon as it is made: a thousand of them in pieces would be much to hold.
    pub(crate) fn of_list<T>(self, ask: &Ask, name: &str, all: Vec<T>, show: impl Fn(T) -> Value) -> String {
        let total = all.len();
        let last = total.div_ceil(self.size).max(1);
        let from = (self.number - 1).saturating_mul(self.size);
        let part = all.into_iter().skip(from).take(self.size);
        let href = |number: usize| json!({"href": self.href(ask, number)});
        let there = |number: Option<usize>| number.filter(|n| (1..=last).contains(n)).map_or(Value::Null, href);
        let meta = json!({
            "first": href(1),
            "last": href(last),
            "next": there(self.number.checked_add(1)),
            "previous": there(self.number.checked_sub(1)),
            "self": href(self.number),
            "total": total,
            "current_page": self.number,
            "last_page": last,
        });
        let mut text = format!("{{\"{name}\":[");
        for (n, entry) in part.enumerate() {
            let comma = if n == 0 { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}{}", show(entry));
        }
        let _ = write!(text, "],\"meta\":{meta}}}");
        text
    }

    fn href(self, ask: &Ask, number: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(
            ask.query()
                .iter()
                .filter(|(name, _)| name != "page" && name != "per_page"),
        );
        query.append_pair("page", &number.to_string());
        query.append_pair("per_page", &self.size.to_string());
        let path = ask.path();
        let base = if path.starts_with(super::BASE) { "" } else { super::BASE };
        format!("{base}{path}?{}", query.finish())
    }
}
