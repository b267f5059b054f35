//! What the secure port serves: probes, metrics, settings, state, and a page for people.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kube_kit::metrics::{CONTENT_TYPE, Registry};
use serde_json::Value;

use super::health::{Asked, Checks};

/// What is served.
#[derive(Clone)]
pub(crate) struct Admin {
    pub title: String,
    pub checks: Checks,
    pub metrics: Registry,
    pub slis: Registry,
    pub configz: Arc<Value>,
    pub state: Arc<dyn Fn() -> Value + Send + Sync>,
    pub profiling: bool,
}

impl Admin {
    /// The router, without anything that asks who is asking.
    pub fn router(self) -> Router {
        let mut router = Router::new()
            .route("/", get(page))
            .route(
                "/metrics",
                get(|State(admin): State<Admin>| async move { plain(CONTENT_TYPE, admin.metrics.render()) }),
            )
            .route(
                "/metrics/slis",
                get(|State(admin): State<Admin>| async move { plain(CONTENT_TYPE, admin.slis.render()) }),
            )
            .route(
                "/configz",
                get(|State(admin): State<Admin>| async move { json(&admin.configz) }),
            );
        for probe in ["healthz", "livez", "readyz"] {
            let whole = move |State(admin): State<Admin>, RawQuery(query): RawQuery| async move {
                answer(admin.checks.probe(probe, &asked(query.as_deref().unwrap_or_default())))
            };
            let single = move |State(admin): State<Admin>, Path(name): Path<String>| async move {
                admin.checks.single(probe, &name).map_or_else(not_found, answer)
            };
            router = router
                .route(&format!("/{probe}"), get(whole))
                .route(&format!("/{probe}/{{check}}"), get(single));
        }
        if self.profiling {
            router = router.route(
                "/debug/state",
                get(|State(admin): State<Admin>| async move { json(&(admin.state)()) }),
            );
        }
        router.fallback(|| async { not_found() }).with_state(self)
    }
}

fn asked(query: &str) -> Asked {
    let mut asked = Asked::default();
    for pair in query.split('&') {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("verbose", _) => asked.verbose = true,
            ("exclude", names) => asked.exclude.extend(names.split(',').map(str::to_owned)),
            _ => {}
        }
    }
    asked
}

fn answer((good, text): (bool, String)) -> Response {
    let status = if good {
        StatusCode::OK
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    (status, plain("text/plain; charset=utf-8", text)).into_response()
}

fn plain(kind: &'static str, text: String) -> Response {
    (
        [
            (header::CONTENT_TYPE, kind),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ],
        text,
    )
        .into_response()
}

fn json(value: &Value) -> Response {
    plain("application/json", value.to_string())
}

fn not_found() -> Response {
    (
        StatusCode::NOT_FOUND,
        plain("text/plain; charset=utf-8", "404 page not found\n".to_owned()),
    )
        .into_response()
}

async fn page(State(admin): State<Admin>) -> Response {
    let (good, checks) = admin.checks.probe(
        "readyz",
        &Asked {
            verbose: true,
            exclude: Vec::new(),
        },
    );
    let state = serde_json::to_string_pretty(&(admin.state)()).unwrap_or_default();
    let html = format!(
        "<!doctype html><meta charset=utf-8><title>{title}</title>\
         <style>body{{font:16px sans-serif;max-width:60em;margin:2em auto}}pre{{background:#eee;padding:1em}}</style>\
         <h1>{title}</h1><p>{verdict}</p><pre>{checks}</pre><pre>{state}</pre>\
         <p><a href=/metrics>metrics</a> <a href=/configz>settings</a> <a href=/debug/state>state</a></p>",
        title = escape(&admin.title),
        verdict = if good { "All is well." } else { "Something is wrong." },
        checks = escape(&checks),
        state = escape(&state),
    );
    plain("text/html; charset=utf-8", html)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::ServiceExt as _;

    async fn get(path: &str) -> (u16, String, String) {
        let (metrics, slis) = (Registry::new(), Registry::new());
        metrics.counter("x_total", "X.", &[]);
        let admin = Admin {
            title: "a <b>".to_owned(),
            checks: Checks::new(&slis),
            metrics,
            slis,
            configz: Arc::new(serde_json::json!({"a": 1})),
            state: Arc::new(|| serde_json::json!({"leading": true})),
            profiling: true,
        };
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let answer = admin.router().oneshot(request).await.unwrap();
        let kind = answer.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn everything_is_where_the_go_programs_have_it() {
        for (path, status, text) in [
            ("/healthz", 200, "ok"),
            ("/livez", 200, "ok"),
            ("/readyz?verbose", 200, "[+]ping ok\nreadyz check passed\n"),
            ("/healthz/ping", 200, "ok"),
            ("/healthz/nosuch", 404, "404 page not found\n"),
            ("/configz", 200, "{\"a\":1}"),
            ("/debug/state", 200, "{\"leading\":true}"),
            ("/nosuch", 404, "404 page not found\n"),
        ] {
            let found = get(path).await;
            assert_eq!((found.0, found.2.as_str()), (status, text), "{path}");
        }
        assert!(get("/metrics").await.2.contains("x_total 0\n"));
        let page = get("/").await;
        assert!(
            page.1.starts_with("text/html") && page.2.contains("a &lt;b&gt;"),
            "{page:?}"
        );
    }
}
