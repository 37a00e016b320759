//! `portent explain`: why a sample opened an anomaly, or did not, against a running agent.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::incident::{moment, print};
use super::incident_args::{Form, Remote};
use super::incident_client::Agent;
use super::incident_text::{escaped_json, plain};
use crate::runtime::Clock;

/// Columns of the names of gates and of outcomes.
const GATE_WIDTH: usize = 22;
const OUTCOME_WIDTH: usize = 11;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The signal
    #[arg(long, value_name = "NAME")]
    signal: String,
    /// The service
    #[arg(long, value_name = "NAME")]
    service: String,
    /// The time of the sample, or of the step that it lies in: a duration ago such as 2h, an RFC 3339 time or Unix seconds
    #[arg(long, value_name = "TIME")]
    time: String,
    /// Only the series with this hash; each of the service where it is not given
    #[arg(long, value_name = "HASH")]
    series: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Asks the agent.
///
/// # Errors
/// Where it is not reached, or there is nothing to explain.
pub(super) async fn explain(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let at = moment("--time", &args.time, Clock::real().now())?;
    let mut query = vec![("signal", args.signal), ("service", args.service), ("time", at.to_string())];
    query.extend(args.series.map(|series| ("series", series)));
    let answer = Agent::new(&args.remote)?.explanation(&query).await?;
    print(match args.remote.output {
        Form::Table => shown(&answer),
        Form::Json => escaped_json(&answer)?,
    })
}

/// A paragraph a series: what came of the sample, and a line a gate.
fn shown(answer: &Value) -> String {
    let mut text = String::new();
    let part = |value: &Value| plain(value.as_str().unwrap_or_default());
    // Writing to a `String` cannot fail.
    for series in answer["series"].as_array().into_iter().flatten() {
        let gates = &series["explained"];
        let value = series["value"].as_f64().map_or("no sample".to_owned(), |value| format!("value {value}"));
        let (name, at) = (part(&series["series"]["name"]), part(&answer["at"]));
        let _ = writeln!(text, "{name} at {at}: {value}, {}", ending(gates));
        if let Some(since) = series["anomalous_since_at"].as_str() {
            let _ = writeln!(text, "  anomalous since {}", plain(since));
        }
        if let Some(incident) = series["incident"].as_str() {
            let kept =
                if series["stored"].is_null() { "" } else { "; its opening is kept: --output json shows it" };
            let _ = writeln!(text, "  part of incident {}{kept}", plain(incident));
        }
        for gate in gates["gates"].as_array().into_iter().flatten() {
            let (name, outcome) = (part(&gate["gate"]), part(&gate["outcome"]));
            let line =
                format!("  {name:<GATE_WIDTH$}  {outcome:<OUTCOME_WIDTH$}  {}", inputs(&gate["inputs"]));
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text.push('\n');
    }
    if let Some(more) = answer["left_out"].as_u64().filter(|more| *more > 0) {
        let _ = writeln!(text, "{more} more series of this service: give --series HASH");
    }
    let from = part(&answer["history_from_at"]);
    let _ = writeln!(text, "Judged anew from the history since {from} ({} samples).", answer["samples"]);
    for note in answer["notes"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "- {}", part(note));
    }
    text
}

fn ending(gates: &Value) -> String {
    match (gates["ending"].as_str(), gates["blocker"].as_str()) {
        (_, Some(gate)) => format!("blocked by {}", plain(gate)),
        (Some("opened"), None) => "opened an anomaly".to_owned(),
        (Some("goes_on"), None) => "the anomaly goes on".to_owned(),
        (Some("cleared"), None) => "ended the anomaly".to_owned(),
        (Some("adopted"), None) => "its level was adopted".to_owned(),
        (_, None) => "unknown".to_owned(),
    }
}

fn inputs(inputs: &Value) -> String {
    let shown = |(name, value): (&String, &Value)| {
        let value = match (value.as_str(), value.as_f64()) {
            (Some(text), _) => plain(text),
            (None, Some(number)) => figure(number),
            (None, None) => value.to_string(),
        };
        format!("{}={value}", plain(name))
    };
    inputs.as_object().into_iter().flatten().map(shown).collect::<Vec<_>>().join(" ")
}

/// Four digits are enough to compare by; very large and very small ones by their power of ten.
fn figure(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        format!("{number:.2e}")
    } else {
        let text = format!("{number:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_short() {
        let figures = [0.0, 3.0, 0.35, 1234.56789, 1e-9, -2.5e12].map(figure);
        assert_eq!(figures, ["0", "3", "0.35", "1234.5679", "1.00e-9", "-2.50e12"]);
    }

    #[test]
    fn the_blocker_stands_in_the_first_line_and_each_gate_in_one_of_its_own() {
        let answer = json!({
            "at": "2026-01-31T08:00:00Z", "history_from_at": "2026-01-30T08:00:00Z", "samples": 5760, "left_out": 2,
            "notes": ["by the config of now"],
            "series": [{
                "series": { "name": "checkout/errors\u{1b}[2J" }, "value": 9.5, "anomalous_since_at": null,
                "incident": null, "stored": null,
                "explained": { "ending": "blocked", "blocker": "score", "gates": [
                    { "gate": "data_quality", "outcome": "passed", "inputs": {} },
                    { "gate": "score", "outcome": "blocked", "inputs": { "score": 0.25, "detector": "tail" } },
                ] },
            }],
        });
        let expected = "\
checkout/errors\\u{1b}[2J at 2026-01-31T08:00:00Z: value 9.5, blocked by score
  data_quality            passed
  score                   blocked      detector=tail score=0.25

2 more series of this service: give --series HASH
Judged anew from the history since 2026-01-30T08:00:00Z (5760 samples).
- by the config of now
";
        assert_eq!(shown(&answer), expected);
    }
}
