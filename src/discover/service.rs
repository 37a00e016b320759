//! What a service is called: which label names it on enough of the series.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A label, or several joined with a slash, that may name the service.
pub type Candidate = String;

/// A candidate as it was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The label, or several joined with a slash.
    pub candidate: Candidate,
    /// The series that have it.
    pub series: u64,
    /// Its different values.
    pub values: u64,
}

/// The label that was chosen, and what there was beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What names the service.
    pub chosen: Measured,
    /// The others that are on some series, in their order.
    pub others: Vec<Measured>,
}

/// A label that more values than this has is a request's or a user's, not a service's.
const VALUES_MAX: u64 = 2000;

/// The share of the series that a label must be on.
const COVERAGE_MIN: f64 = 0.95;

/// What stands before a name that is the same in several namespaces.
const NAMESPACE: &str = "namespace";

/// The candidates that these labels allow, in order: each in its namespace too, where there are any.
pub fn candidates(services: &[&str], labels: &BTreeSet<String>) -> Vec<Candidate> {
    let mut found = Vec::new();
    for service in services {
        let parts = || service.split('/');
        if !parts().all(|part| labels.contains(part)) {
            continue;
        }
        found.push((*service).to_owned());
        if labels.contains(NAMESPACE) && !service.contains('/') {
            found.push(format!("{NAMESPACE}/{service}"));
        }
    }
    found
}

/// The label of the measure query's answer that says what a point is of.
pub(super) const ASKED: &str = "portent_asked";

/// One query that measures every candidate on the series of a selector: how many series have it, how many values it
/// has. Each point of the answer says by a label of which candidate it is: `series 0`, `values 0`, ..., and `total`.
pub fn measure_query(selector: &str, candidates: &[Candidate]) -> String {
    let tagged = |expression: &str, tag: &str| {
        format!("label_replace({expression}, \"{ASKED}\", \"{tag}\", \"\", \"\")")
    };
    let mut query = tagged(&format!("count({selector})"), "total");
    for (place, candidate) in candidates.iter().enumerate() {
        let labels: Vec<&str> = candidate.split('/').collect();
        let there: Vec<String> = labels.iter().map(|label| format!("{label}!=\"\"")).collect();
        let narrowed = narrow(selector, &there.join(","));
        let by = labels.join(", ");
        let series = tagged(&format!("count({narrowed})"), &format!("series {place}"));
        let values = tagged(&format!("count(count by ({by}) ({narrowed}))"), &format!("values {place}"));
        // Writing to a `String` cannot fail.
        let _ = write!(query, "\n or {series}\n or {values}");
    }
    query
}

/// Adds matchers to a selector.
fn narrow(selector: &str, matchers: &str) -> String {
    match selector.strip_suffix('}') {
        Some(open) => format!("{open},{matchers}}}"),
        None => format!("{selector}{{{matchers}}}"),
    }
}

/// Reads the answer to [`measure_query`]: the number of all series, and the candidates that are on any. Points are the
/// label [`ASKED`] with the value.
pub(super) fn measured(candidates: &[Candidate], points: &[(Option<&str>, f64)]) -> (u64, Vec<Measured>) {
    let point = |tag: &str| {
        let found = points.iter().find(|(asked, _)| *asked == Some(tag));
        // Counts are whole and never so large that a float is not exact.
        found.map_or(0, |(_, value)| *value as u64)
    };
    let measured = candidates.iter().enumerate().map(|(place, candidate)| Measured {
        candidate: candidate.clone(),
        series: point(&format!("series {place}")),
        values: point(&format!("values {place}")),
    });
    (point("total"), measured.filter(|seen| seen.series > 0).collect())
}

/// Chooses: the first in order that is on nearly all series and has neither too many values nor, where another that is
/// no mere instance tells more, a single one. A name that stands in several namespaces is joined with them. Where none is
/// on nearly all, the one on the most. `None` where there is none.
pub fn choose(total: u64, measured: &[Measured]) -> Option<Choice> {
    let covers = |seen: &&Measured| seen.series as f64 >= COVERAGE_MIN * total as f64;
    let is_plausible = |seen: &&Measured| seen.values <= VALUES_MAX;
    let tells = |seen: &&Measured| seen.values > 1 && last_part(&seen.candidate) != "instance";
    let full = || measured.iter().filter(covers).filter(is_plausible);
    let any_tells = full().any(|seen| tells(&seen));
    let first = full().find(|seen| !any_tells || tells(seen));
    let most = || measured.iter().rev().filter(is_plausible).max_by_key(|seen| seen.series);
    let bare = first.or_else(most)?;
    let joined = format!("{NAMESPACE}/{}", bare.candidate);
    let with_namespace = full().find(|seen| seen.candidate == joined && seen.values > bare.values);
    let chosen = with_namespace.unwrap_or(bare).clone();
    let others = measured.iter().filter(|seen| seen.candidate != chosen.candidate);
    // A joined name that tells no more than the bare one is no alternative.
    let others =
        others.filter(|seen| !seen.candidate.starts_with("namespace/") || seen.values > chosen.values);
    let others = others.cloned().collect();
    Some(Choice { chosen, others })
}

fn last_part(candidate: &str) -> &str {
    candidate.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::check_promql;

    /// Chooses among `label series/values` on 100 series.
    #[track_caller]
    fn check(seen: &str, expected: Option<&str>) {
        let measured: Vec<Measured> = seen
            .split(", ")
            .filter(|text| !text.is_empty())
            .map(|text| {
                let (candidate, counts) = text.split_once(' ').unwrap();
                let (series, values) = counts.split_once('/').unwrap();
                let (series, values) = (series.parse().unwrap(), values.parse().unwrap());
                Measured { candidate: candidate.to_owned(), series, values }
            })
            .collect();
        let chosen = choose(100, &measured).map(|choice| choice.chosen.candidate);
        assert_eq!(chosen.as_deref(), expected);
    }

    #[test]
    fn the_first_label_on_nearly_all_series_names_the_service() {
        check("service 100/5, job 100/1, instance 100/1", Some("service"));
        check("service 60/5, job 100/3, instance 100/3", Some("job"));
        check("service 96/5, job 100/9", Some("service"));
    }

    #[test]
    fn a_label_that_is_the_same_everywhere_tells_nothing() {
        check("service 100/1, job 100/20, instance 100/40", Some("job"));
        check("service 100/1, job 100/1, instance 100/40", Some("service"));
    }

    #[test]
    fn a_name_in_several_namespaces_is_joined_with_them() {
        check("app 100/5, namespace/app 100/9, job 100/1", Some("namespace/app"));
        check("app 100/5, namespace/app 100/5, job 100/1", Some("app"));
    }

    #[test]
    fn a_label_with_a_value_a_request_is_no_service() {
        check("service 100/90000, job 100/3", Some("job"));
    }

    #[test]
    fn where_none_is_on_all_the_one_on_the_most_is_taken() {
        check("service 40/5, app 70/5", Some("app"));
        check("service 40/5, app 40/5", Some("service"));
        check("", None);
    }

    #[test]
    fn only_labels_that_are_there_are_candidates() {
        let labels = ["job", "instance", "namespace"].map(str::to_owned).into();
        let found = candidates(&["service", "namespace/app", "job"], &labels);
        assert_eq!(found, ["job", "namespace/job"]);
    }

    #[test]
    fn the_measure_query_is_promql_and_its_answer_is_read_back() {
        let candidates = ["job".to_owned(), "namespace/app".to_owned()];
        for selector in ["up", "up{a!=\"\"}"] {
            check_promql(&measure_query(selector, &candidates)).unwrap();
        }
        let points = [
            (Some("total"), 7.0),
            (Some("series 0"), 7.0),
            (Some("values 0"), 2.0),
            (None, 9.0),
            (Some("values 9"), 1.0),
        ];
        let (total, measured) = measured(&candidates, &points);
        assert_eq!(total, 7);
        assert_eq!(measured, [Measured { candidate: "job".to_owned(), series: 7, values: 2 }]);
    }
}
