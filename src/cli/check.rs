//! `portent check config FILE`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::config;

/// Prints what a config amounts to, or every mistake in it.
pub(super) fn check_config(file: &Path) -> anyhow::Result<ExitCode> {
    let loaded = config::load(Some(file), config::environment(), &[]);
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    match loaded {
        Ok(config) => match config.require_signals() {
            Ok(_) => {
                write!(out, "{}", config.summary())?;
                Ok(ExitCode::SUCCESS)
            }
            Err(none) => {
                writeln!(err, "{}: {none}", file.display())?;
                Ok(ExitCode::FAILURE)
            }
        },
        Err(report) => {
            writeln!(err, "{report}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
