//! Label matchers as a person writes them, and which labels a query's series can have.

use std::collections::BTreeSet;

use promql_parser::parser::{Expr, LabelModifier, value::ValueType};

use super::query::{check_promql, parsed};
use crate::series::Matchers;

/// Longer ones are refused: regular expressions are compiled, and each is tried on every new series.
const BYTES_MAX: usize = 1024;
/// The name before the braces: without one, Prometheus would not take matchers that hold for an empty label.
const METRIC: &str = "_";
const NAMES_A_METRIC: &str = "names a metric, and series have none after a query: name signals in `signals`";

/// Reads label matchers as PromQL writes them, with or without the braces: `service="checkout", route=~"/api/.*"`.
///
/// # Errors
/// A sentence for the person who wrote them: what is wrong and a way out.
pub fn read_matchers(text: &str) -> Result<Matchers, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("is {} bytes long: give {BYTES_MAX} at most", text.len()));
    }
    let text = text.trim();
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let way_out = "give matchers such as service=\"checkout\", route=~\"/api/.*\"";
    let whole = format!("{METRIC}{{{inner}}}");
    let parsed = check_promql(&whole).and_then(|()| parsed(&whole));
    let expression = parsed.map_err(|error| match error.split_once("illegal regex for ") {
        Some((_, regex)) => {
            let regex: String = regex.chars().take(80).collect();
            format!("has {regex:?}, which is no regular expression that Prometheus takes: correct it, or use = or !=")
        }
        None if error.contains("metric name must not be set twice") => NAMES_A_METRIC.to_owned(),
        None => format!("{text:?} are no label matchers: {way_out}"),
    })?;
    let Expr::VectorSelector(selector) = expression else {
        return Err(format!("{text:?} are more than label matchers: {way_out}"));
    };
    if selector.offset.is_some() || selector.at.is_some() || !selector.matchers.or_matchers.is_empty() {
        return Err(format!("{text:?} are more than label matchers, of which all have to hold: {way_out}"));
    }
    let list = selector.matchers.matchers;
    if list.iter().any(|matcher| matcher.name == "__name__") {
        return Err(NAMES_A_METRIC.to_owned());
    }
    Matchers::new(list).map_err(|because| because.to_string())
}

/// The labels that the series of a query can have; `None` where the query alone does not tell.
pub fn labels_of(text: &str) -> Option<BTreeSet<String>> {
    check_promql(text).ok()?;
    of(&parsed(text).ok()?)
}

fn of(expression: &Expr) -> Option<BTreeSet<String>> {
    match expression {
        Expr::Aggregate(aggregate) => {
            let operator = aggregate.op.to_string();
            if matches!(operator.as_str(), "topk" | "bottomk" | "limitk" | "limit_ratio") {
                return of(&aggregate.expr);
            }
            let mut labels: BTreeSet<String> = match &aggregate.modifier {
                Some(LabelModifier::Include(by)) => by.labels.iter().cloned().collect(),
                Some(LabelModifier::Exclude(without)) => {
                    let mut labels = of(&aggregate.expr)?;
                    labels.retain(|label| !without.labels.contains(label));
                    labels
                }
                None => BTreeSet::new(),
            };
            if operator == "count_values" {
                let Some(Expr::StringLiteral(name)) = aggregate.param.as_deref() else { return None };
                labels.insert(name.val.clone());
            }
            Some(labels)
        }
        Expr::Paren(paren) => of(&paren.expr),
        Expr::Unary(unary) => of(&unary.expr),
        // Of two vectors the result has labels of either, whatever they are matched on.
        Expr::Binary(binary) => {
            let sides = [&binary.lhs, &binary.rhs].into_iter();
            let vectors = sides.filter(|side| side.value_type() == ValueType::Vector);
            let of_sides: Option<Vec<_>> = vectors.map(|side| of(side)).collect();
            Some(of_sides?.into_iter().flatten().collect())
        }
        // These take one vector and give its labels, or some of them; others make labels of their own.
        Expr::Call(call)
            if matches!(call.func.name, "clamp" | "clamp_min" | "clamp_max" | "abs" | "round")
                || matches!(
                    call.func.name,
                    "histogram_quantile" | "sqrt" | "ln" | "log2" | "log10" | "exp"
                )
                || matches!(call.func.name, "ceil" | "floor" | "sgn" | "sort" | "sort_desc") =>
        {
            let vector = call.args.args.iter().find(|argument| argument.value_type() == ValueType::Vector);
            of(vector?)
        }
        Expr::Call(_)
        | Expr::MatrixSelector(_)
        | Expr::Subquery(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::VectorSelector(_)
        | Expr::Extension(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::series::{Labels, SeriesKey, Service, SignalName};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let told = read_matchers(text).map_or_else(|because| because, |matchers| matchers.to_string());
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn matchers_are_read_with_and_without_braces() {
        check("service=\"a\"", "{service=\"a\"}");
        check(" { service = 'a', route=~\"/api/.*\", } ", "{service=\"a\", route=~\"/api/.*\"}");
        check("env!=\"prod\", pod!~\"canary-.*\"", "{env!=\"prod\", pod!~\"canary-.*\"}");
    }

    #[test]
    fn what_is_no_matcher_is_refused_with_a_way_out() {
        let way_out = "give matchers such as service=\"checkout\", route=~\"/api/.*\"";
        check("service=checkout", &format!("\"service=checkout\" are no label matchers: {way_out}"));
        check("service", &format!("\"service\" are no label matchers: {way_out}"));
        check("a=\"b\"}[5m", &format!("\"a=\\\"b\\\"}}[5m\" are no label matchers: {way_out}"));
        check(
            "a=\"b\" or c=\"d\"",
            &format!(
                "\"a=\\\"b\\\" or c=\\\"d\\\"\" are more than label matchers, of which all have to hold: {way_out}"
            ),
        );
        check(
            "route=~\"(\"",
            "has \"(\", which is no regular expression that Prometheus takes: correct it, or use = or !=",
        );
        check(
            "__name__=\"up\"",
            "names a metric, and series have none after a query: name signals in `signals`",
        );
    }

    #[test]
    fn what_matches_everything_or_nothing_is_refused() {
        let everything =
            "match every series: leave the table out and set its keys in [signal_defaults] or in a signal";
        for text in ["", "{}", "a=~\".*\"", "service=~\".+\"", "service!=\"\"", "service!=\"\", b=~\".*\""] {
            check(text, everything);
        }
        check(
            "service=\"\"",
            "match no series, since each has a service: give a matcher such as service=\"checkout\"",
        );
        check("route=~\".+\"", "{route=~\".+\"}");
    }

    #[test]
    fn regular_expressions_are_anchored_as_in_prometheus() {
        let key = |route: &str| {
            SeriesKey::new(SignalName::new("x"), Service::new("a"), Labels::new([("route", route)]))
        };
        let matchers = read_matchers("route=~\"api|web\"").unwrap();
        let held = ["api", "web", "apis", "my-web", ""].map(|route| matchers.hold_for(&key(route)));
        assert_eq!(held, [true, true, false, false, false]);
        let others = read_matchers("route!~\"api|web\"").unwrap();
        assert!(["apis", ""].iter().all(|route| others.hold_for(&key(route))));
    }

    #[track_caller]
    fn check_labels(promql: &str, expected: Option<&[&str]>) {
        let told = labels_of(promql);
        let expected = expected.map(|labels| labels.iter().map(|label| (*label).to_owned()).collect());
        assert_eq!(told, expected, "{promql}");
    }

    #[test]
    fn an_aggregation_tells_which_labels_there_are() {
        check_labels("sum by (service, route) (rate(x[5m]))", Some(&["route", "service"]));
        check_labels("histogram_quantile(0.9, sum by (le, service) (rate(x[5m])))", Some(&["le", "service"]));
        check_labels("sum by (a) (x) / on (a) sum by (a, b) (y) > 0.5", Some(&["a", "b"]));
        check_labels("topk(5, sum by (a) (x))", Some(&["a"]));
        check_labels("max without (a) (sum by (a, b) (x))", Some(&["b"]));
        check_labels("sum(x)", Some(&[]));
        check_labels("100 * (1 - avg by (a) (x))", Some(&["a"]));
        check_labels("x", None);
        check_labels("rate(x[5m])", None);
        check_labels("sum without (a) (x)", None);
        check_labels("label_replace(sum by (a) (x), \"b\", \"$1\", \"a\", \"(.*)\")", None);
        check_labels("sum by (a) (x) or y", None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", close in "[a-z=~!\"{}\\[\\](),.*+\\\\ ]{0,40}") {
            let _ = read_matchers(&text);
            let _ = read_matchers(&close);
        }
    }
}
