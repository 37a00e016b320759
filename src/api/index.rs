//! The two pages that say what there is: a list in plain text at the root, and the OpenAPI document.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::server::Server;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::links::Links;
use super::parameters::NoParameters;
use super::problem::ProblemDocument;

#[derive(Clone)]
pub(super) struct Index {
    list: Arc<str>,
    document: Arc<str>,
}

pub(super) fn routes() -> OpenApiRouter<Index> {
    OpenApiRouter::default().routes(routes!(index)).routes(routes!(openapi_document))
}

impl Index {
    /// Writes both pages. The paths of the document stand below the links' base.
    pub(super) fn new(version: &str, mut document: OpenApi, links: &Links) -> Self {
        let mut list = format!("Portent {version}\n\n");
        for (path, item) in &document.paths.paths {
            let operations = [("GET", &item.get), ("POST", &item.post)];
            for (method, operation) in operations.into_iter().filter_map(|(m, o)| Some((m, o.as_ref()?))) {
                list.push_str(&line(method, &links.to(path), operation));
            }
        }
        let base = links.to("");
        document.servers = Some(vec![Server::new(if base.is_empty() { "/" } else { &base })]);
        Self { list: list.into(), document: write(&document).into() }
    }

    /// The document as it is served.
    pub(super) fn document(&self) -> Arc<str> {
        Arc::clone(&self.document)
    }
}

fn line(method: &str, path: &str, operation: &Operation) -> String {
    format!("{method:<4} {path:<40} {}\n", operation.summary.as_deref().unwrap_or_default())
}

/// The document as indented JSON that ends in a newline.
pub(super) fn write(document: &OpenApi) -> String {
    // A document of texts and numbers always has a JSON form; a test reads it.
    document.to_pretty_json().map(|text| text + "\n").unwrap_or_default()
}

/// Lists what there is, in plain text.
#[utoipa::path(
    get, path = "/", tag = "agent", operation_id = "index",
    security(("key" = ["read"])),
    responses(
        (status = 200, description = "A line for each operation.", body = String,
            content_type = "text/plain"),
        (status = 400, description = "A parameter is unknown.", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
async fn index(State(pages): State<Index>, _: NoParameters) -> String {
    pages.list.to_string()
}

/// Shows this document.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "agent", operation_id = "openapi",
    security(("key" = ["read"])),
    responses(
        (status = 200, description = "The OpenAPI 3.1 document.", body = Object),
        (status = 400, description = "A parameter is unknown.", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
async fn openapi_document(State(pages): State<Index>, _: NoParameters) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], pages.document.to_string()).into_response()
}
