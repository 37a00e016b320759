//! `portent detect FILE.csv`: one series through the whole pipeline, a row a sample.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::args::DetectArgs;
use crate::app::engine_settings;
use crate::config;
use crate::replay::{Change, Judged, Solo};
use crate::series::{Labels, SeriesKey, Service, SignalName};
use crate::source::{Sample, Samples};

/// The signal of the one series; a config may have a table for it.
const SIGNAL: &str = "value";
const SERVICE: &str = "file";

/// Prints a row a sample, in the file's order, and says on standard error what was not judged.
pub(super) fn detect(args: &DetectArgs) -> anyhow::Result<ExitCode> {
    let config = config::load(args.config_file.as_deref(), config::environment(), &[])?;
    let name = args.file.display().to_string();
    let file = File::open(&args.file).with_context(|| format!("{name} cannot be opened"))?;
    let samples = Samples::open(BufReader::new(file), &name)?;

    let signal = SignalName::new(SIGNAL);
    let mut settings = engine_settings(&config, [signal.clone()]);
    // No model is asked about the past.
    settings.questions_per_incident = 0;
    for (_, plan) in &mut settings.signals {
        plan.step = samples.step().map_or(plan.step, |step| step.max(Duration::from_millis(1)));
        if let Some(detectors) = args.detector {
            plan.settings = plan.settings.clone().with_detectors(detectors);
        }
    }
    let key = SeriesKey::new(signal, Service::new(SERVICE), Labels::new([("service", SERVICE)]));
    let mut solo = Solo::new(settings, Arc::new(key));
    print(samples, &mut solo, args, &name)?.tell(&name)?;
    Ok(ExitCode::SUCCESS)
}

/// Rows that were printed without a verdict since they could not have one.
#[derive(Debug, Default)]
struct LeftOut {
    late: u64,
    repeated: u64,
    without_value: u64,
}

fn print<R: io::Read>(
    samples: Samples<R>,
    solo: &mut Solo,
    args: &DetectArgs,
    name: &str,
) -> anyhow::Result<LeftOut> {
    let mut out = csv::Writer::from_writer(io::stdout().lock());
    out.write_record(["timestamp", "value", "expected", "lower", "upper", "score", "event"])?;
    let mut left_out = LeftOut::default();
    // The last row that was not late: its time is the latest so far.
    let mut newest: Option<(u64, Sample)> = None;
    for sample in samples {
        let sample = match sample {
            Ok(sample) => sample,
            Err(error) => {
                // What was judged before stands.
                out.flush()?;
                return Err(error.into());
            }
        };
        let judged = solo.take(sample.at, sample.value);
        match (&judged, &newest) {
            (Some(_), _) => left_out.without_value += u64::from(sample.value.is_none()),
            (None, Some((line, other))) => {
                let is_repeated = other.at == sample.at;
                left_out.repeated += u64::from(is_repeated);
                left_out.late += u64::from(!is_repeated);
                if args.strict {
                    out.flush()?;
                    let what = if is_repeated { "again after" } else { "after the later one of" };
                    anyhow::bail!(
                        "{name}: line {}: the time {:?} stands {what} line {line}: sort the rows by time and keep one of \
                         each, or leave out --strict",
                        sample.line,
                        sample.timestamp_text.trim()
                    );
                }
            }
            (None, None) => {}
        }
        write_row(&mut out, &sample, judged)?;
        if judged.is_some() {
            newest = Some((sample.line, sample));
        }
    }
    out.flush()?;
    Ok(left_out)
}

fn write_row<W: Write>(out: &mut csv::Writer<W>, sample: &Sample, judged: Option<Judged>) -> csv::Result<()> {
    let verdict = judged.and_then(|judged| judged.verdict);
    let figures = verdict.map(|verdict| [verdict.expected, verdict.lower, verdict.upper, verdict.score]);
    out.write_field(&sample.timestamp_text)?;
    out.write_field(&sample.value_text)?;
    for place in 0..4 {
        let figure = figures.and_then(|figures| figures.get(place).copied());
        out.write_field(figure.map_or_else(String::new, |figure| figure.to_string()))?;
    }
    out.write_field(match judged.and_then(|judged| judged.change) {
        Some(Change::Opened) => "open",
        Some(Change::Resolved) => "close",
        None => "",
    })?;
    // Ends the record.
    out.write_record(None::<&[u8]>)
}

impl LeftOut {
    fn tell(&self, name: &str) -> io::Result<()> {
        let Self { late, repeated, without_value } = *self;
        let counts =
            [(late, "late"), (repeated, "with the same time again"), (without_value, "without a value")];
        let said: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if said.is_empty() {
            return Ok(());
        }
        writeln!(io::stderr().lock(), "portent: {name}: rows without a verdict: {}", said.join(", "))
    }
}
