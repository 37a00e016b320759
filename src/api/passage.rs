//! What every request goes through on its way in and out: panics end here, problems learn their path, and each answer
//! carries the headers that keep browsers and caches from making more of it than it is.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use reqwest::Url;
use tracing::error;

use super::Settings;
use super::problem::{Kind, Problem};

const NO_PAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// The site under which people reach the agent, where it has a name of its own: a proxy may ask it under another host.
#[derive(Debug, Clone)]
pub(super) struct Site(Option<Arc<str>>);

impl Site {
    pub(super) fn new(settings: &Settings) -> Self {
        let url = settings.external_url.as_deref().and_then(|url| Url::parse(url).ok());
        Self(url.map(|url| url.origin().ascii_serialization().into()))
    }
}

/// Wraps a request.
pub(super) async fn pass(State(own): State<Site>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if let Some(site) = foreign_site(&own, &request) {
        let detail = format!(
            "this request comes from a page of another site ({site}); send it from where the agent is"
        );
        return Problem::new(Kind::CrossSite, detail).respond(Some(&path));
    }
    let mut response = match contained(next.run(request)).await {
        Ok(response) => response,
        Err(panic) => {
            let what = text_of(panic.as_ref());
            error!(http.method = %method, http.path = %path, "answering {method} {path} panicked: {what}");
            let detail = "answering this request panicked; the log of the agent says where";
            Problem::new(Kind::Panicked, detail).respond(Some(&path))
        }
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        // Only the body is replaced: `Allow` and the like stay.
        *response.body_mut() = problem.respond(Some(&path)).into_body();
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // What is opened in a browser loads nothing, is framed by nobody and runs nothing; a page has a policy of its own.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NO_PAGE);
    response
}

/// Where a request that may change something comes from, if a browser says that it is a page of another site. Programs
/// send neither header.
fn foreign_site(own: &Site, request: &Request) -> Option<String> {
    if request.method().is_safe() {
        return None;
    }
    let text =
        |name: &str| request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if let Some(site) = text("sec-fetch-site")
        && !matches!(site.as_ref(), "same-origin" | "none")
    {
        return Some(site.chars().take(80).collect());
    }
    let origin = text("origin")?;
    let host = text("host").unwrap_or_default();
    let is_own = origin.split_once("://").is_some_and(|(_, authority)| authority == host)
        || own.0.as_deref().is_some_and(|own| own == origin);
    (!is_own).then(|| origin.chars().take(80).collect())
}

/// Refuses a path that does not exist.
pub(super) async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(
        Kind::UnknownPath,
        format!("there is no {:?}; the index at the root lists what there is", uri.path()),
    )
}

/// Refuses a method that a path does not have. The router adds `Allow`.
pub(super) async fn other_method(method: Method, uri: Uri) -> Problem {
    Problem::new(Kind::MethodNotAllowed, format!("{method} is not possible on {:?}; see Allow", uri.path()))
}

/// Runs a future to its end or to its panic, after which it is not polled again.
async fn contained<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use serde_json::Value;

    use super::*;

    async fn defect() -> &'static str {
        panic!("a secret of the house")
    }

    #[track_caller]
    fn check(method: Method, headers: &[(&str, &str)], is_foreign: bool) {
        check_below(None, method, headers, is_foreign);
    }

    #[track_caller]
    fn check_below(external_url: Option<&str>, method: Method, headers: &[(&str, &str)], is_foreign: bool) {
        let external_url = external_url.map(str::to_owned);
        let own = Site::new(&Settings { external_url, ..Settings::at(([127, 0, 0, 1], 9098).into()) });
        let mut request = Request::builder().method(method).uri("/x").header("host", "agent:9098");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        assert_eq!(foreign_site(&own, &request).is_some(), is_foreign, "{headers:?}");
    }

    #[test]
    fn a_page_of_another_site_changes_nothing() {
        check(Method::POST, &[], false);
        check(Method::POST, &[("origin", "http://agent:9098"), ("sec-fetch-site", "same-origin")], false);
        check(Method::POST, &[("origin", "https://evil.example")], true);
        check(Method::POST, &[("origin", "null")], true);
        check(Method::POST, &[("sec-fetch-site", "cross-site")], true);
        check(Method::POST, &[("origin", "http://agent:9098"), ("sec-fetch-site", "same-site")], true);
        check(Method::GET, &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")], false);
    }

    #[test]
    fn a_page_of_the_external_url_is_our_own_behind_a_proxy_that_asks_under_another_host() {
        let origin = [("origin", "https://portent.example"), ("sec-fetch-site", "same-origin")];
        check(Method::POST, &origin, true);
        for external in ["https://portent.example", "https://Portent.example:443/agent/"] {
            check_below(Some(external), Method::POST, &origin, false);
            check_below(Some(external), Method::POST, &[("origin", "http://agent:9098")], false);
            for other in
                ["https://evil.example", "http://portent.example", "https://portent.example:444", "null"]
            {
                check_below(Some(external), Method::POST, &[("origin", other)], true);
            }
            let other_site = [("origin", "https://portent.example"), ("sec-fetch-site", "cross-site")];
            check_below(Some(external), Method::POST, &other_site, true);
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_keeps_its_text_to_itself() {
        let mut router = Router::new()
            .route("/x", get(defect))
            .layer(from_fn_with_state(Site(None), pass))
            .into_service::<Body>();
        let request = Request::builder().uri("/x").body(Body::empty()).unwrap();
        let response = tower_service::Service::call(&mut router, request).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["type"], &body["instance"]), (&"urn:portent:problem:defect".into(), &"/x".into()));
        assert!(!body.to_string().contains("secret"), "{body}");
    }
}
