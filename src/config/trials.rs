//! The config as a whole: what is refused and with which words, how layers meet, what stays secret.

mod layering;
mod refusals;
mod robustness;
mod secrecy;

use super::{Config, Report, load_text};

fn sound(text: &str) -> Config {
    load_text("t", text, [], &[]).unwrap()
}

fn with_env(text: &str, env: &[(&str, &str)]) -> Result<Config, Report> {
    load_text("t", text, env.iter().map(|(name, value)| (name.to_string(), value.to_string())), &[])
}
