//! `portent init URL`: a config from what a backend holds.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use super::args::{InitArgs, set};
use super::carry::source_lines;
use super::survey::{Budget, Survey, survey};
use crate::config::{self, Config};
use crate::discover::{Backend, document};
use crate::runtime::Clock;

/// Looks at the backend and writes the config; 1 where nothing was recognised.
pub(super) async fn init(args: InitArgs) -> anyhow::Result<ExitCode> {
    if let Some(path) = args.output.as_deref().filter(|path| path.exists()) {
        anyhow::bail!("{} is there already: give another file, or move it away", path.display());
    }
    let config = loaded(&args)?;
    let clock = Clock::real();
    let budget = Budget::of(args.timeout);
    let survey = survey(&config, &clock, budget).await?;
    let lines = args.config_file.as_deref().map(source_lines).transpose()?;
    let text = written(&survey, &config, lines.unwrap_or_default());
    if let Err(report) = config::load_text("written by init", &text, [], &[]) {
        anyhow::bail!("the config that was written is not sound, which is a defect of portent: {report}");
    }
    put(args.output.as_deref(), &text)?;
    let mut err = std::io::stderr().lock();
    let count = survey.draft.signals();
    if count == 0 {
        writeln!(
            err,
            "portent: none of the {} metrics at {} could be recognised and watched: the config that was written says \
             what was looked for, and how to name a signal yourself",
            survey.metrics, config.source.url
        )?;
        return Ok(ExitCode::FAILURE);
    }
    if !survey.cut_short.is_empty() {
        writeln!(err, "portent: not everything was looked at: {}", survey.cut_short)?;
    }
    let file = args.output.map_or_else(|| "FILE".to_owned(), |path| path.display().to_string());
    writeln!(err, "portent: {count} signals; try them: portent check config {file} --live")?;
    Ok(ExitCode::SUCCESS)
}

/// The settings under which the backend is asked: the file's, with the URL laid over it.
fn loaded(args: &InitArgs) -> anyhow::Result<Config> {
    let url = args.url.as_deref().map(|url| set("source.url", "URL", url));
    let overrides: Vec<_> = url.into_iter().collect();
    let mut config = config::load(args.config_file.as_deref(), config::environment(), &overrides)?;
    // A person waits: what fails is told.
    config.source.retries = config.source.retries.min(1);
    config.source.timeout = config.source.timeout.min(args.timeout.max(Duration::from_secs(1)));
    Ok(config)
}

fn written(survey: &Survey, config: &Config, source_lines: String) -> String {
    let backend = Backend {
        url: config.source.url.clone(),
        product: survey.product.clone(),
        source_lines,
        metrics: survey.metrics,
        requests: survey.requests,
        bytes: survey.bytes,
        seconds: survey.seconds,
        at: survey.at,
        cut_short: survey.cut_short.clone(),
    };
    document(&survey.draft, &backend)
}

/// Writes to a file that was not there before, or to standard output.
fn put(path: Option<&Path>, text: &str) -> anyhow::Result<()> {
    let Some(path) = path else {
        return Ok(std::io::stdout().lock().write_all(text.as_bytes())?);
    };
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let wrote = file.and_then(|mut file| file.write_all(text.as_bytes()));
    wrote.with_context(|| format!("{} cannot be written", path.display()))
}
