//! The config as a whole: what is refused and with which words, how layers meet, what stays secret.

mod api;
mod examples;
mod layering;
mod overrides;
mod refusals;
mod robustness;
mod secrecy;
mod transport;

use std::path::Path;

use super::{Config, Report, load_text};

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn sound(text: &str) -> Config {
    load_text("t", text, [], &[]).unwrap()
}

fn with_env(text: &str, env: &[(&str, &str)]) -> Result<Config, Report> {
    load_text("t", text, env.iter().map(|(name, value)| (name.to_string(), value.to_string())), &[])
}
