//! How the API names its own resources in `Link` and `Location`.

use std::sync::Arc;

use super::Settings;

/// What stands before every path in a link. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Links(Arc<str>);

impl Links {
    /// Under the external URL, where a person gave one: behind a proxy the path may be another one. Else under the
    /// route prefix alone, which a client resolves against the address that it asked.
    pub(super) fn new(settings: &Settings) -> Self {
        let base = settings.external_url.as_deref().unwrap_or(&settings.route_prefix);
        Self(Arc::from(base.trim_end_matches('/')))
    }

    /// A reference to a path of the API, which starts with a slash.
    pub(super) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}
