//! Nothing that anybody could get to see holds a secret: all other tests run again, and what they leave behind is searched.

use cloud_sim::secrets::{Capture, leaks};
use rackspace_spot_sim::{ACME_COLLEAGUE_TOKEN, ACME_TOKEN, FREDERICK_TOKEN, PENNILESS_TOKEN, REVOKED_TOKEN};

use crate::harness::{Scenario, planted, produced};

#[test]
fn no_text_of_any_test_holds_a_secret() {
    let all: Vec<(&str, Scenario)> = [
        crate::smoke::all(),
        crate::create::all(),
        crate::invalid::all(),
        crate::update::all(),
        crate::wait::all(),
        crate::credentials::all(),
        crate::remove::all(),
        crate::import::all(),
        crate::scale::all(),
        crate::faults::all(),
        crate::offers::all(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let (mut bytes, mut tests, mut heard) = (0, 0, false);
    for (name, scenario) in all {
        let capture = Capture::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(capture.clone())
            .finish();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        tracing::subscriber::with_default(subscriber, || runtime.block_on(scenario));
        // The simulators log too; what they say is not ours.
        let logged: String = capture
            .text()
            .lines()
            .filter(|line| !line.contains("_sim"))
            .flat_map(|line| [line, "\n"])
            .collect();
        heard |= logged.contains("creating cloudspace c-w467n in org acme");
        let mut texts = produced();
        texts.push(logged);
        let secrets = planted();
        let mut secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        secrets.extend([
            ACME_TOKEN,
            ACME_COLLEAGUE_TOKEN,
            FREDERICK_TOKEN,
            PENNILESS_TOKEN,
            REVOKED_TOKEN,
        ]);
        for text in &texts {
            bytes += text.len();
            let found = leaks(text, &secrets);
            assert!(found.is_empty(), "{name}: {found:?}");
            assert!(
                !has_web_token(text),
                "{name}: an id token or a kubeconfig's token shows"
            );
        }
        tests += 1;
    }
    println!("{tests} scenarios left {bytes} bytes behind, none of them secret");
    assert!(heard, "the driver's own log was not among what was searched");
    assert!(tests > 70 && bytes > 100_000, "{tests} {bytes}");
}

/// Whether anything looks like a signed JSON web token, which is what id tokens and service account tokens are.
fn has_web_token(text: &str) -> bool {
    text.match_indices("eyJ").any(|(at, _)| {
        let word: String = text[at..]
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
            .collect();
        word.matches('.').count() >= 2 && word.len() > 60
    })
}

#[test]
fn the_search_finds_what_is_planted() {
    let id_token = format!(
        "h {}.{}.{} t",
        "eyJhbGciOiJSUzI1NiJ9", "eyJvcmdfaWQiOiJvcmdfMSJ9", "c2lnbmF0dXJlLXNpZ25hdHVyZQ"
    );
    assert!(has_web_token(&id_token) && !has_web_token("eyJust words. And. More"));
    assert!(!leaks(&format!("refresh_token={ACME_TOKEN}&"), &[ACME_TOKEN]).is_empty());
}
