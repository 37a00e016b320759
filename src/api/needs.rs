//! Which scope each operation needs: read from the OpenAPI document, so that what is told and what is held are one.
//!
//! An operation says it in its own description: `security(("key" = ["operate"]))`, or `security(())` where it needs no
//! key. One that says nothing is answered to nobody.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::Value;

use super::scope::Scope;

/// The name of the security scheme in the document.
pub(super) const SCHEME: &str = "key";

/// What a request needs to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// A key with this scope.
    Scope(Scope),
    /// A key with this scope, also as the password of HTTP Basic: browsers ask for one by themselves.
    Page(Scope),
    /// Any key: there is nothing here, and only who has one is told so.
    AnyKey,
    /// It is answered to nobody, since it does not say what it needs.
    Undeclared,
}

/// The needs of all operations, by the path of their route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Needs(BTreeMap<String, BTreeMap<String, Need>>);

impl Needs {
    /// Reads them from the document, as JSON.
    pub(super) fn of(document: &Value) -> Self {
        let mut needs = Self::default();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                needs.put(path, &method.to_ascii_uppercase(), declared(&operation["security"]));
            }
        }
        needs
    }

    /// Adds a route that is not in the document.
    pub(super) fn put(&mut self, path: &str, method: &str, need: Need) {
        self.0.entry(path.to_owned()).or_default().insert(method.to_owned(), need);
    }

    /// What a request needs; `route` is the path of the route that takes it, below the prefix.
    pub(super) fn need(&self, method: &Method, route: Option<&str>) -> Need {
        let Some(route) = route else { return Need::AnyKey };
        let Some(methods) = self.0.get(route) else { return Need::Undeclared };
        // axum answers HEAD by the handler of GET.
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        // Without such an operation the answer is that there is none.
        methods.get(method.as_str()).copied().unwrap_or(Need::AnyKey)
    }
}

fn declared(security: &Value) -> Need {
    let [requirement] = security.as_array().map_or(&[][..], Vec::as_slice) else { return Need::Undeclared };
    if requirement.as_object().is_some_and(serde_json::Map::is_empty) {
        return Need::Nothing;
    }
    let scopes = requirement[SCHEME].as_array().map_or(&[][..], Vec::as_slice);
    match scopes {
        [scope] => scope.as_str().and_then(Scope::of_name).map_or(Need::Undeclared, Need::Scope),
        _ => Need::Undeclared,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(security: Value, expected: Need) {
        let document = json!({ "paths": { "/x": { "get": { "security": security } } } });
        let needs = Needs::of(&document);
        assert_eq!(needs.need(&Method::GET, Some("/x")), expected);
        assert_eq!(needs.need(&Method::HEAD, Some("/x")), expected);
    }

    #[test]
    fn an_operation_that_does_not_say_what_it_needs_is_answered_to_nobody() {
        check(json!([{ "key": ["operate"] }]), Need::Scope(Scope::Operate));
        check(json!([{}]), Need::Nothing);
        for unclear in [
            json!(null),
            json!([]),
            json!([{ "key": [] }]),
            json!([{ "key": ["write"] }]),
            json!([{ "key": ["read", "admin"] }]),
            json!([{ "other": ["read"] }]),
            json!([{}, { "key": ["read"] }]),
        ] {
            check(unclear, Need::Undeclared);
        }
    }

    #[test]
    fn what_is_not_there_needs_any_key() {
        let needs = Needs::of(&json!({ "paths": { "/x": { "get": { "security": [{}] } } } }));
        assert_eq!(needs.need(&Method::POST, Some("/x")), Need::AnyKey);
        assert_eq!(needs.need(&Method::GET, None), Need::AnyKey);
        assert_eq!(needs.need(&Method::GET, Some("/y")), Need::Undeclared);
    }
}
