//! `portent reference ...`: the generated documents, which `make docs` writes into `docs/`.

use std::io::Write as _;
use std::process::ExitCode;

use super::args::ReferenceWhat;
use crate::{api, config, runtime};

/// Prints one of them.
pub(super) fn print(what: ReferenceWhat) -> anyhow::Result<ExitCode> {
    let text = match what {
        ReferenceWhat::Configuration => config::reference(),
        ReferenceWhat::Metrics => runtime::metrics_reference(),
        ReferenceWhat::Openapi => api::openapi(),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
