//! Keeping secrets out of every text.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};

/// What stands where a secret was.
const REDACTED: &str = "[redacted]";
/// Shorter strings are not treated as secrets: replacing them would only make texts unreadable.
const SHORTEST: usize = 6;
/// How many secrets are remembered; tokens that are renewed for years must not pile up.
const MOST: usize = 128;
/// How much of a server's free text is shown.
const LONGEST_TEXT: usize = 400;

/// The secrets that must not appear in any text. Clones share one list.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<VecDeque<SecretString>>>);

impl Secrets {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a secret. Strings under six bytes are ignored.
    pub fn add(&self, secret: &SecretString) {
        if secret.expose_secret().len() < SHORTEST {
            return;
        }
        let mut known = self.lock();
        if known.iter().any(|it| it.expose_secret() == secret.expose_secret()) {
            return;
        }
        if known.len() == MOST {
            known.pop_front();
        }
        known.push_back(secret.clone());
    }

    /// The text without the known secrets, and without anything that looks like a JSON web token.
    pub fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.lock().iter() {
            let secret = secret.expose_secret();
            if text.contains(secret) {
                text = text.replace(secret, REDACTED);
            }
        }
        without_tokens(&text)
    }

    /// A server's free text made fit for an error message: one line, no mark-up, clipped, scrubbed.
    pub fn tidy(&self, text: &str) -> String {
        let plain = if text.trim_start().starts_with('<') {
            without_tags(text)
        } else {
            text.to_owned()
        };
        let words: Vec<&str> = plain
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        // Scrub first: a secret cut in half would no longer be found.
        clip(self.scrub(&words.join(" ")))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<SecretString>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} known)", self.lock().len())
    }
}

fn clip(text: String) -> String {
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let mut end = LONGEST_TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}… ({} bytes in all)", &text[..end], text.len())
}

fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                plain.push(' ');
            }
            _ if !inside => plain.push(c),
            _ => {}
        }
    }
    plain
}

/// Replaces `eyJ….….…`: three parts, and the first is base64 for `{"`.
fn without_tokens(text: &str) -> String {
    if !text.contains("eyJ") {
        return text.to_owned();
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("eyJ") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let end = from.find(|c| !is_part(c)).unwrap_or(from.len());
        let (candidate, after) = from.split_at(end);
        if candidate.matches('.').count() >= 2 {
            out.push_str(REDACTED);
        } else {
            out.push_str(candidate);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(all: &[&str]) -> Secrets {
        let secrets = Secrets::new();
        for one in all {
            secrets.add(&SecretString::from(*one));
        }
        secrets
    }

    #[test]
    fn known_secrets_disappear_wherever_they_stand() {
        let secrets = secrets(&["v1.refresh-token", "ab"]);
        assert_eq!(
            secrets.scrub("token=v1.refresh-token&x=v1.refresh-token, ab"),
            "token=[redacted]&x=[redacted], ab"
        );
        assert_eq!(format!("{secrets:?}"), "Secrets(1 known)");
    }

    #[test]
    fn anything_shaped_like_a_web_token_disappears() {
        let secrets = Secrets::new();
        assert_eq!(
            secrets.scrub("user: {token: eyJhbGciOi.eyJzdWIiOi.c2ln-_n} end eyJust words"),
            "user: {token: [redacted]} end eyJust words"
        );
    }

    #[test]
    fn free_text_becomes_one_short_line() {
        let secrets = secrets(&["hunter2-hunter2"]);
        assert_eq!(
            secrets.tidy("<html><h1>502 Bad\r\n Gateway</h1><p>hunter2-hunter2</p></html>"),
            "502 Bad Gateway [redacted]"
        );
        let long = secrets.tidy(&"ä".repeat(1000));
        assert!(
            long.starts_with("ää") && long.ends_with("(2000 bytes in all)"),
            "{long}"
        );
        assert!(long.len() < 450);
    }

    #[test]
    fn the_list_does_not_grow_for_ever() {
        let secrets = Secrets::new();
        for n in 0..1000 {
            secrets.add(&SecretString::from(format!("secret-{n}")));
        }
        assert_eq!(format!("{secrets:?}"), "Secrets(128 known)");
        assert_eq!(secrets.scrub("secret-999"), "[redacted]");
    }
}
