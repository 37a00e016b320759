//! `portent reference ...`: the generated documents, which `make docs` writes into `docs/`.

use std::io::Write as _;
use std::process::ExitCode;

use super::args::ReferenceWhat;
use crate::{api, config, runtime};

/// Prints one of them.
pub(super) fn print(what: ReferenceWhat) -> anyhow::Result<ExitCode> {
    let text = match what {
        ReferenceWhat::Configuration => config::reference(),
        ReferenceWhat::Metrics => runtime::metrics_reference(api::describe_metrics),
        ReferenceWhat::Openapi => api::openapi(),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_metrics_are_in_step() {
        let committed = include_str!("../../docs/metrics.md");
        let reference = runtime::metrics_reference(api::describe_metrics);
        assert_eq!(reference, committed, "docs/metrics.md is out of step: run `make docs`");
    }
}
