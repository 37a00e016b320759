//! The OpenAPI 3.1 document, collected from the routes themselves.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    ResponseBuilder,
};

use super::needs::SCHEME;
use super::{
    budgets, diagnosis, events, explain, incidents, index, lifecycle, probes, series, signals, status,
};

/// The version of the API, not of the release: a release that changes nothing here changes nothing in the document.
const API_VERSION: &str = "1";

const DESCRIPTION: &str = "\
Anomalies of a Prometheus-compatible backend as incidents, with ranked and explained hypotheses about their causes.

Times are RFC 3339 in UTC, called `at` or `..._at`; durations are in seconds, called `..._s`. Every refusal is a \
problem document (RFC 9457). Lists come in pages: follow `next_cursor`, or the `Link` header with `rel=\"next\"`, until \
there is none. GET never changes anything.";

/// The operations that anybody may ask for under any name.
const UNGUARDED: [&str; 3] = ["healthy", "ready", "metrics"];

const KEYS: &str = "\
An API key, sent as `Authorization: Bearer KEY`. Where the agent has a keys file (`api.keys_file`), every operation needs \
one whose scopes have the one that the operation names; no scope implies another. Without a key the answer is 401, \
without the scope 403. Where it has no keys file, no key is needed.";

/// The document as indented JSON: the same for the same release, byte for byte. `docs/openapi.json` is this text.
pub fn openapi() -> String {
    index::write(&document())
}

pub(super) fn document() -> OpenApi {
    let license =
        LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Portent")
        .version(API_VERSION)
        .description(Some(DESCRIPTION))
        .license(Some(license))
        .build();
    let tag = |name: &str, about: &str| TagBuilder::new().name(name).description(Some(about)).build();
    let tags = [
        tag("incidents", "What went wrong, its course, and why."),
        tag("signals", "What is watched, and how it stands."),
        tag("agent", "How the agent itself stands."),
    ];
    let mut document = OpenApiBuilder::new().info(info).tags(Some(tags)).build();
    let parts = [
        index::routes().into_openapi(),
        probes::routes().into_openapi(),
        lifecycle::routes().into_openapi(),
        incidents::routes().into_openapi(),
        events::routes().into_openapi(),
        diagnosis::routes().into_openapi(),
        signals::routes().into_openapi(),
        explain::routes().into_openapi(),
        series::routes().into_openapi(),
        status::routes().into_openapi(),
        budgets::routes().into_openapi(),
    ];
    for part in parts {
        document.merge(part);
    }
    document
        .paths
        .paths
        .values_mut()
        .flat_map(|item| [&mut item.get, &mut item.post])
        .flatten()
        .for_each(guarded);
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(KEYS)).build();
    let components = document.components.take().unwrap_or_else(|| ComponentsBuilder::new().build());
    let components =
        ComponentsBuilder::from(components).security_scheme(SCHEME, SecurityScheme::Http(scheme));
    document.components = Some(components.build());
    document
}

/// Adds what every operation may be refused with before it is looked at.
fn guarded(operation: &mut Operation) {
    let refusals = [
        ("401", "No key was sent, or it is not known."),
        ("403", "The key lacks the scope, or the request comes from a page of another site."),
        ("421", "The agent is not known by the name in the Host header; see `api.allowed_hosts`."),
    ];
    if operation.operation_id.as_deref().is_some_and(|id| UNGUARDED.contains(&id)) {
        return;
    }
    for (status, about) in refusals {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new().description(about).content("application/problem+json", content);
        operation.responses.responses.insert(status.to_owned(), RefOr::T(response.build()));
    }
}
