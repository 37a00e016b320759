//! When a backtest counts as failed: `incidents>2/day,recall<0.8,new>0`.

use std::fmt;
use std::time::Duration;

use super::report::Report;
use crate::incident::Severity;
use crate::time::{format_duration, parse_duration};

/// One condition: the backtest fails where it is true.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    text: String,
    what: What,
    is: Is,
    limit: Limit,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Incidents(Option<Severity>),
    Precision,
    Recall,
    Delay,
    New,
    Gone,
    Moved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Above,
    AtLeast,
    Below,
    AtMost,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
    Number(f64),
    /// So many in so long a time.
    Rate(f64, Duration),
    Span(Duration),
}

/// A condition that says that the backtest fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The condition as it was written.
    pub condition: String,
    /// What it met.
    pub because: String,
}

/// A text that is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {because}")]
pub struct ConditionError {
    text: String,
    because: String,
}

const NAMES: &str = "incidents, P0, P1, P2, P3, precision, recall, delay, new, gone, moved";
const DAY: Duration = Duration::from_secs(86_400);

/// Reads conditions: a comma between two.
///
/// # Errors
/// The first that is none, with a way out.
pub fn conditions(text: &str) -> Result<Vec<Condition>, ConditionError> {
    text.split(',').map(|one| condition(one.trim())).collect()
}

fn condition(text: &str) -> Result<Condition, ConditionError> {
    let refuse = |because: String| ConditionError { text: text.chars().take(80).collect(), because };
    let shape = "is no condition: give a name, one of > >= < <= and a number, such as incidents>2/day";
    let at = text.find(['<', '>']).ok_or_else(|| refuse(shape.to_owned()))?;
    let (name, rest) = text.split_at(at);
    let signs = [(">=", Is::AtLeast), ("<=", Is::AtMost), (">", Is::Above), ("<", Is::Below)];
    let sign = signs.iter().find_map(|(sign, is)| Some((*is, rest.strip_prefix(sign)?)));
    let (is, value) = sign.ok_or_else(|| refuse(shape.to_owned()))?;
    let what = match name.trim() {
        "incidents" => What::Incidents(None),
        "precision" => What::Precision,
        "recall" => What::Recall,
        "delay" => What::Delay,
        "new" => What::New,
        "gone" => What::Gone,
        "moved" => What::Moved,
        other => {
            let severity = Severity::ALL.into_iter().find(|one| one.as_str() == other);
            What::Incidents(Some(
                severity.ok_or_else(|| refuse(format!("compares {other:?}: give one of {NAMES}")))?,
            ))
        }
    };
    let limit = limit(what, value.trim()).map_err(refuse)?;
    Ok(Condition { text: text.to_owned(), what, is, limit })
}

fn limit(what: What, value: &str) -> Result<Limit, String> {
    let number =
        |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    match what {
        What::Delay => parse_duration(value)
            .map(Limit::Span)
            .map_err(|_| "compares a delay: give a duration, such as delay>2m".to_owned()),
        What::Precision | What::Recall => number(value)
            .filter(|share| *share <= 1.0)
            .map(Limit::Number)
            .ok_or_else(|| "compares a share: give a number from 0 to 1, such as recall<0.8".to_owned()),
        What::Incidents(_) | What::New | What::Gone | What::Moved => {
            let (count, per) = match value.split_once('/') {
                None => (value, None),
                Some((count, "day")) => (count, Some(DAY)),
                Some((count, "week")) => (count, Some(DAY * 7)),
                Some(_) => return Err("has a rate: give /day or /week, such as incidents>2/day".to_owned()),
            };
            let count = number(count).ok_or_else(|| {
                "compares a count: give a number, such as new>0 or incidents>2/day".to_owned()
            })?;
            Ok(per.map_or(Limit::Number(count), |per| Limit::Rate(count, per)))
        }
    }
}

impl Condition {
    /// Whether it needs labels.
    pub fn needs_labels(&self) -> bool {
        matches!(self.what, What::Precision | What::Recall | What::Delay)
    }

    /// Whether it needs another config to compare with.
    pub fn needs_against(&self) -> bool {
        matches!(self.what, What::New | What::Gone | What::Moved)
    }

    /// What it met where it is true, or where nobody can tell: a check that cannot be made is no check that was passed.
    pub(super) fn broken_by(&self, report: &Report) -> Option<Broken> {
        let broken = |because: String| Some(Broken { condition: self.text.clone(), because });
        let Some(met) = self.measure(report) else {
            return broken(format!("cannot be told: {}", self.lacks()));
        };
        let (met, limit, shown) = match self.limit {
            Limit::Number(limit) => (met, limit, round(met)),
            Limit::Rate(limit, per) => {
                let days = per.as_secs_f64() / DAY.as_secs_f64();
                let rate = met / report.period.days() * days;
                (rate, limit, format!("{}/{}", round(rate), if per == DAY { "day" } else { "week" }))
            }
            Limit::Span(limit) => {
                let span = Duration::try_from_secs_f64(met).unwrap_or(Duration::MAX);
                (met, limit.as_secs_f64(), format_duration(Duration::from_secs(span.as_secs())))
            }
        };
        let is_true = match self.is {
            Is::Above => met > limit,
            Is::AtLeast => met >= limit,
            Is::Below => met < limit,
            Is::AtMost => met <= limit,
        };
        if is_true { broken(format!("it is {shown}")) } else { None }
    }

    fn measure(&self, report: &Report) -> Option<f64> {
        let score = report.new.score.as_ref();
        let difference = report.difference.as_ref();
        match self.what {
            What::Incidents(None) => Some(report.new.tables.all.total as f64),
            What::Incidents(Some(severity)) => Some(report.new.tables.all.of(severity) as f64),
            What::Precision => score?.precision(),
            What::Recall => score?.recall(),
            What::Delay => Some(score?.median_delay()?.as_secs_f64()),
            What::New => Some(difference?.only_new.len() as f64),
            What::Gone => Some(difference?.only_old.len() as f64),
            What::Moved => Some(difference?.moved.len() as f64),
        }
    }

    fn lacks(&self) -> &'static str {
        match self.what {
            What::Recall => "no label lies in the span",
            What::Precision => "there is no incident",
            What::Delay => "no label was found",
            What::Incidents(_) | What::New | What::Gone | What::Moved => "there is nothing to compare with",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A number with three digits at most after the point.
fn round(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_condition_is_refused_with_a_way_out() {
        for (text, words) in [
            ("incidents", "is no condition"),
            ("incidents=2", "is no condition"),
            ("noise>2", "give one of incidents, P0"),
            ("incidents>many", "give a number"),
            ("incidents>2/hour", "give /day or /week"),
            ("incidents>-1", "give a number"),
            ("recall<80", "from 0 to 1"),
            ("recall<0.8/day", "from 0 to 1"),
            ("delay>3", "such as delay>2m"),
            ("incidents>2/day,", "is no condition"),
        ] {
            let refused = conditions(text).unwrap_err().to_string();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }

    #[test]
    fn conditions_are_read_with_or_without_spaces() {
        let read = conditions("incidents>2/day, P0 >= 1, recall<0.8,delay>2m,new>0").unwrap();
        let texts: Vec<String> = read.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["incidents>2/day", "P0 >= 1", "recall<0.8", "delay>2m", "new>0"]);
        assert_eq!(read.iter().filter(|one| one.needs_labels()).count(), 2);
        assert_eq!(read.iter().filter(|one| one.needs_against()).count(), 1);
    }
}
