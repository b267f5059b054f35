//! What the secure port serves: probes, metrics, settings, state, and a page for people.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use kube_kit::metrics::{CONTENT_TYPE, Registry};
use serde::Serialize;
use serde_json::Value;

use super::health::{Asked, Checks};
use super::logs::Verbosity;
use super::{page, state};

/// What a page may do: show itself.
const NO_SCRIPTS: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// How much may be said about the verbosity.
const SHORT: usize = 1024;

/// What is served.
#[derive(Clone)]
pub(crate) struct Admin {
    pub title: String,
    pub checks: Checks,
    pub metrics: Registry,
    pub slis: Registry,
    pub configz: Arc<Value>,
    pub state: Arc<dyn Fn() -> state::State + Send + Sync>,
    pub verbosity: Verbosity,
    pub profiling: bool,
}

impl Admin {
    /// The router, without anything that asks who is asking.
    pub fn router(self) -> Router {
        let mut router = Router::new()
            .route("/", get(overview))
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
                get(|State(admin): State<Admin>| async move { json(&*admin.configz) }),
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
            router = router
                .route(
                    "/debug/state",
                    get(|State(admin): State<Admin>| async move { json(&(admin.state)()) }),
                )
                .route("/debug/flags/v", any(set_verbosity).layer(DefaultBodyLimit::max(SHORT)));
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

fn json(value: &impl Serialize) -> Response {
    // Nothing that is served has keys that are no text.
    plain("application/json", serde_json::to_string(value).unwrap_or_default())
}

fn not_found() -> Response {
    (
        StatusCode::NOT_FOUND,
        plain("text/plain; charset=utf-8", "404 page not found\n".to_owned()),
    )
        .into_response()
}

async fn overview(State(admin): State<Admin>) -> Response {
    let (good, checks) = admin.checks.probe(
        "readyz",
        &Asked {
            verbose: true,
            exclude: Vec::new(),
        },
    );
    let html = page::page(&admin.title, good, &checks, &(admin.state)());
    let page = plain("text/html; charset=utf-8", html);
    ([(header::CONTENT_SECURITY_POLICY, NO_SCRIPTS)], page).into_response()
}

/// Mirrors `StringFlagPutHandler` of `k8s.io/apiserver` (`pkg/server/routes/flags.go`).
async fn set_verbosity(State(admin): State<Admin>, method: Method, text: String) -> Response {
    let (status, told) = if method == Method::PUT {
        match admin.verbosity.set(&text) {
            Ok(told) => (StatusCode::OK, told),
            Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
        }
    } else {
        (StatusCode::NOT_ACCEPTABLE, "unsupported http method".to_owned())
    };
    (status, plain("text/plain; charset=utf-8", told + "\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::ServiceExt as _;

    async fn get(path: &str) -> (u16, String, String) {
        send("GET", path, true).await
    }

    async fn send(method: &str, path: &str, profiling: bool) -> (u16, String, String) {
        let (metrics, slis) = (Registry::new(), Registry::new());
        metrics.counter("x_total", "X.", &[]);
        let admin = Admin {
            title: "a <b>".to_owned(),
            checks: Checks::new(&slis),
            metrics,
            slis,
            configz: Arc::new(serde_json::json!({"a": 1})),
            state: Arc::new(|| state::State {
                leading: true,
                ..state::State::default()
            }),
            verbosity: Verbosity::default(),
            profiling,
        };
        let request = axum::http::Request::builder().method(method).uri(path).body("3".into());
        let request: axum::http::Request<axum::body::Body> = request.unwrap();
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
            ("/debug/flags/v", 406, "unsupported http method\n"),
            ("/nosuch", 404, "404 page not found\n"),
        ] {
            let found = get(path).await;
            assert_eq!((found.0, found.2.as_str()), (status, text), "{path}");
        }
        assert!(get("/metrics").await.2.contains("x_total 0\n"));
        let state = get("/debug/state").await;
        assert!(
            state.1 == "application/json" && state.2.contains("\"leading\":true"),
            "{state:?}"
        );
        let page = get("/").await;
        assert!(
            page.1.starts_with("text/html") && page.2.contains("a &lt;b&gt;"),
            "{page:?}"
        );
    }

    #[tokio::test]
    async fn the_verbosity_can_be_put_unless_profiling_is_off() {
        // Nobody logs here, so nothing can change; that it is tried is what counts.
        let put = send("PUT", "/debug/flags/v", true).await;
        assert_eq!(put.0, 400);
        assert!(put.2.starts_with("failed set klog.logging.verbosity 3: "), "{put:?}");
        for path in ["/debug/flags/v", "/debug/state"] {
            assert_eq!(send("PUT", path, false).await.0, 404, "{path}");
        }
    }
}
