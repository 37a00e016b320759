//! The API's documentation as a page: Swagger UI, from the binary, at `/api/docs/`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa_swagger_ui::{Config, serve};

use super::links::Links;
use super::passage::unknown_path;
use super::problem::{Kind, Problem};

/// The routes of the page, which are not in the document that it shows.
pub(super) const PATHS: [&str; 3] = ["/api/docs", "/api/docs/", "/api/docs/{*asset}"];

/// Everything that the page loads comes from here. Its drawings are in its styles, as `data:`.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Where the document is, from the page: beside it, since a browser that was asked for a key on the page gives it there.
const DOCUMENT: &str = "openapi.json";

#[derive(Clone)]
struct Page {
    config: Arc<Config<'static>>,
    document: Arc<str>,
}

/// The routes of the page that shows `document`.
pub(super) fn routes(links: &Links, document: Arc<str>) -> Router {
    // Without the slash its assets would be looked for beside it.
    let to_page = Redirect::permanent(&links.to("/api/docs/"));
    // The default asks a site elsewhere whether the document is valid.
    let config = Arc::new(Config::from(DOCUMENT).validator_url("none"));
    let shown = Page { config, document };
    let [bare, page, assets] = PATHS;
    Router::new()
        .route(bare, get(async || to_page))
        .route(page, get(async |State(page): State<Page>| file("", page.config)))
        .route(assets, get(asset))
        .with_state(shown)
}

async fn asset(State(page): State<Page>, Path(name): Path<String>, uri: Uri) -> Response {
    if name == DOCUMENT {
        return ([(header::CONTENT_TYPE, "application/json")], page.document.to_string()).into_response();
    }
    match file(&name, page.config) {
        response if response.status() == StatusCode::NOT_FOUND => unknown_path(uri).await.into_response(),
        response => response,
    }
}

fn file(name: &str, config: Arc<Config<'static>>) -> Response {
    match serve(name, config) {
        Ok(Some(file)) => {
            let kind = HeaderValue::try_from(file.content_type);
            let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
            let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)];
            (headers, file.bytes.into_owned()).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            Problem::new(Kind::Panicked, format!("the page can't be made: {error}")).into_response()
        }
    }
}
