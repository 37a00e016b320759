//! What every request goes through on its way in and out: panics end here, problems learn their path, and each answer
//! carries the headers that keep browsers and caches from making more of it than it is.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use axum::extract::Request;
use axum::http::{HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::error;

use super::problem::{Kind, Problem};

/// Wraps a request.
pub(super) async fn pass(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
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
    response
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
    use axum::middleware::from_fn;
    use axum::routing::get;
    use serde_json::Value;

    use super::*;

    async fn defect() -> &'static str {
        panic!("a secret of the house")
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_keeps_its_text_to_itself() {
        let mut router = Router::new().route("/x", get(defect)).layer(from_fn(pass)).into_service::<Body>();
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
