//! Proof that nothing printed a credential: everything that is logged is caught, and searched for what was planted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use tracing_subscriber::fmt::MakeWriter;

/// Shorter secrets are only searched for as they are: their encodings occur by chance.
const SHORTEST_ENCODED: usize = 8;

/// A buffer that a tracing subscriber can write to. Clones share it.
///
/// ```
/// let capture = cloud_sim::secrets::Capture::default();
/// let subscriber = tracing_subscriber::fmt().with_writer(capture.clone()).with_ansi(false).finish();
/// tracing::subscriber::with_default(subscriber, || tracing::info!("logged in"));
/// assert!(capture.text().contains("logged in"));
/// cloud_sim::secrets::assert_absent(&capture.text(), &["planted-token-1"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    /// What was written so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Capture {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A secret that was found. It tells where, never what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Which of the secrets, counted from 0.
    pub secret: usize,
    /// In which form: `plain`, `percent-encoded` or `base64`.
    pub form: &'static str,
    /// The line it begins in, counted from 1.
    pub line: usize,
    /// That line's text before the secret, at most 80 characters of it.
    pub before: String,
}

/// Looks for each secret: as it is, percent-encoded, and within base64 of either alphabet at any alignment.
pub fn leaks(haystack: &str, secrets: &[&str]) -> Vec<Leak> {
    let needles: Vec<(usize, &'static str, String)> = secrets
        .iter()
        .enumerate()
        .filter(|(_, text)| !text.is_empty())
        .flat_map(|(secret, text)| {
            forms(text)
                .into_iter()
                .map(move |(form, needle)| (secret, form, needle))
        })
        .collect();
    // One look at the text for all of them: there are hundreds of megabytes to search for thousands.
    let search = AhoCorasick::new(needles.iter().map(|(_, _, needle)| needle)).expect("a few thousand short texts");
    let mut found: BTreeMap<(usize, &'static str), usize> = BTreeMap::new();
    for hit in search.find_overlapping_iter(haystack) {
        let (secret, form, _) = &needles[hit.pattern().as_usize()];
        let first = found.entry((*secret, form)).or_insert(hit.start());
        *first = hit.start().min(*first);
    }
    let told = found.into_iter().map(|((secret, form), at)| {
        let head = haystack.get(..at).unwrap_or_default();
        let line = head.rsplit('\n').next().unwrap_or_default();
        // The text before one secret must not show another.
        let line = match search.find(line) {
            Some(other) => format!("{}***", line.get(..other.start()).unwrap_or_default()),
            None => line.to_owned(),
        };
        let skipped = line.chars().count().saturating_sub(80);
        Leak {
            secret,
            form,
            line: head.matches('\n').count() + 1,
            before: line.chars().skip(skipped).collect(),
        }
    });
    told.collect()
}

/// Panics when `haystack` holds any of the secrets in any form; the message names the place and never the secret.
#[track_caller]
pub fn assert_absent(haystack: &str, secrets: &[&str]) {
    let found = leaks(haystack, secrets);
    let told: Vec<String> = found
        .iter()
        .map(
            |Leak {
                 secret,
                 form,
                 line,
                 before,
             }| format!("secret {secret} ({form}) in line {line} after {before:?}"),
        )
        .collect();
    assert!(found.is_empty(), "secrets leaked:\n{}", told.join("\n"));
}

fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let mut forms = vec![("plain", secret.to_owned())];
    let encoded = percent_encoded(secret);
    if encoded != secret {
        forms.push(("percent-encoded", encoded));
    }
    if secret.len() >= SHORTEST_ENCODED {
        for offset in 0..3 {
            for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                let needle = inner_base64(secret.as_bytes(), offset, engine);
                if forms.iter().all(|(_, known)| *known != needle) {
                    forms.push(("base64", needle));
                }
            }
        }
    }
    forms
}

/// The characters that base64 of any text has for `secret` when it begins `offset` bytes after a multiple of three.
fn inner_base64(secret: &[u8], offset: usize, engine: &impl Engine) -> String {
    let mut padded = vec![0; offset];
    padded.extend_from_slice(secret);
    let encoded = engine.encode(&padded);
    // Characters that share bits with what stands before or after are left out.
    let first = (offset * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    encoded.get(first..last).unwrap_or_default().to_owned()
}

fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    const SECRET: &str = "s3cr3t/t0k3n+value?";

    #[test]
    fn a_secret_is_found_in_every_form_at_every_alignment() {
        let mut haystacks = vec![format!("x {SECRET} y"), "a=s3cr3t%2Ft0k3n%2Bvalue%3F".to_owned()];
        for offset in 0..4 {
            let text = format!("{}{SECRET} and more", "é".repeat(offset));
            haystacks.push(STANDARD.encode(&text));
            haystacks.push(URL_SAFE.encode(&text));
            haystacks.push(STANDARD.encode(format!("{}{SECRET}", "x".repeat(offset))));
        }
        for haystack in haystacks {
            assert!(!leaks(&haystack, &[SECRET]).is_empty(), "{haystack}");
        }
        assert!(leaks("nothing to see", &[SECRET, ""]).is_empty());
    }

    #[test]
    fn the_failure_names_the_place_and_not_the_secret() {
        let haystack = format!("first line\ntoken={SECRET} again {SECRET}");
        let panic = std::panic::catch_unwind(|| assert_absent(&haystack, &["absent-one", SECRET])).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert_eq!(message, "secrets leaked:\nsecret 1 (plain) in line 2 after \"token=\"");
    }
}
