//! `portent incident list` and `portent incident show`, against a running agent.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::incident_args::{Form, IncidentCommand, ListArgs};
use super::incident_client::Agent;
use super::incident_text::{WIDTH, escaped_json, shown, table};
use crate::runtime::Clock;
use crate::time::{Timestamp, parse_duration, parse_timestamp};

/// A terminal with fewer columns wraps the lines.
const NARROWEST: usize = 80;

/// Runs one of them.
pub(super) async fn incident(command: IncidentCommand) -> anyhow::Result<ExitCode> {
    match command {
        IncidentCommand::List(args) => list(&args).await,
        IncidentCommand::Show { id, remote } => {
            let incident = Agent::new(&remote)?.incident(&id).await?;
            print(match remote.output {
                Form::Table => shown(&incident),
                Form::Json => escaped_json(&incident)?,
            })
        }
    }
}

async fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let mut filters: Vec<(&str, String)> = Vec::new();
    filters.extend(args.status.as_str().map(|status| ("status", status.to_owned())));
    filters.extend(args.severity.iter().map(|severity| ("severity", severity.as_str().to_owned())));
    filters.extend(args.service.iter().map(|service| ("service", service.clone())));
    if let Some(since) = &args.since {
        filters.push(("since", moment("--since", since, Clock::real().now())?.to_string()));
    }
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let (rows, has_more) = Agent::new(&args.remote)?.incidents(&filters, limit).await?;
    let text = match args.remote.output {
        Form::Table => table(&rows, width()),
        Form::Json => escaped_json(&json!({ "incidents": rows, "has_more": has_more }))?,
    };
    let code = print(text)?;
    if has_more {
        writeln!(std::io::stderr(), "portent: there are more than {limit}: give --limit")?;
    }
    Ok(code)
}

/// Columns of the terminal, where there is one.
fn width() -> usize {
    let terminal = terminal_size::terminal_size_of(std::io::stdout().as_fd());
    terminal.map_or(WIDTH, |(terminal_size::Width(columns), _)| usize::from(columns).max(NARROWEST))
}

/// A time, or a duration before now, that a flag gives.
pub(super) fn moment(flag: &str, text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(ago) = parse_duration(text) {
        return Ok(now.minus(ago));
    }
    parse_timestamp(text).with_context(|| {
        format!("{flag} {text:?} is no time: give a duration such as 2h, RFC 3339 such as 2026-01-31T08:00:00Z, or Unix seconds")
    })
}

pub(super) fn print(text: String) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Who reads on has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_duration_ago() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(moment("--since", "2h", now).unwrap(), Timestamp::from_millis(1_699_992_800_000));
        assert_eq!(moment("--since", "1699999000", now).unwrap(), Timestamp::from_millis(1_699_999_000_000));
        assert_eq!(
            moment("--since", "2023-11-14T22:00:00Z", now).unwrap(),
            Timestamp::from_millis(1_699_999_200_000)
        );
        assert!(moment("--since", "yesterday", now).unwrap_err().to_string().contains("yesterday"));
    }

    #[test]
    fn a_value_prints_as_json() {
        assert_eq!(escaped_json(&serde_json::Value::Null).unwrap(), "null\n");
    }
}
