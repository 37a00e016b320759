//! `portent check config FILE`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::args::{CheckConfigArgs, Output};
use super::live::{Live, try_all};
use crate::config::{self, Config};

/// Prints what a config amounts to, or every mistake in it; where that is wanted, asks the backend for each signal once.
pub(super) async fn check_config(args: CheckConfigArgs) -> anyhow::Result<ExitCode> {
    let config = match sound(&args.file) {
        Ok(config) => config,
        Err(mistakes) => return refused(&args, &mistakes),
    };
    let live = match args.live {
        true => Some(try_all(&config).await?),
        false => None,
    };
    let passes = live.as_ref().is_none_or(|live| live.passes);
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => {
            let checked = Checked { valid: true, mistakes: &[], hash: Some(config.hash()), live };
            writeln!(out, "{}", serde_json::to_string_pretty(&checked)?)?;
        }
        Output::Text => {
            write!(out, "{}", config.summary())?;
            if let Some(live) = &live {
                write!(out, "\nasked {} once, as the agent would:\n{}", config.source.url, live.report())?;
            }
        }
    }
    if !passes {
        writeln!(
            std::io::stderr().lock(),
            "{}: the backend gives no answer within the limits to every signal",
            args.file.display()
        )?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// What `--output json` prints.
#[derive(Serialize)]
struct Checked<'a> {
    valid: bool,
    mistakes: &'a [String],
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Live>,
}

fn sound(file: &Path) -> Result<Config, Vec<String>> {
    let config = config::load(Some(file), config::environment(), &[]);
    let config =
        config.map_err(|report| report.mistakes().iter().map(ToString::to_string).collect::<Vec<_>>())?;
    match config.require_signals() {
        Ok(_) => Ok(config),
        Err(none) => Err(vec![format!("{}: {none}", file.display())]),
    }
}

fn refused(args: &CheckConfigArgs, mistakes: &[String]) -> anyhow::Result<ExitCode> {
    match args.output {
        Output::Json => {
            let checked = Checked { valid: false, mistakes, hash: None, live: None };
            writeln!(std::io::stdout().lock(), "{}", serde_json::to_string_pretty(&checked)?)?;
        }
        Output::Text => writeln!(std::io::stderr().lock(), "{}", mistakes.join("\n"))?,
    }
    Ok(ExitCode::FAILURE)
}
