//! What a signal asks the backend, and the check of its PromQL when the config loads.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use promql_parser::parser::{self, Expr, value::ValueType};

use crate::series::{Labels, Service, SignalName};

/// One signal's range query. Its answer holds every service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalQuery {
    /// The signal.
    pub signal: SignalName,
    /// An expression that gives an instant vector; see [`check_promql`].
    pub promql: String,
    /// The distance of two points: whole seconds, since the API's client sends no fraction.
    pub step: Duration,
    /// Where in a series' labels its service stands.
    pub service_label: ServiceLabels,
}

/// The label that names a series' service, or several of them: the values are joined with a slash. Written as
/// `service`, or as `namespace/service`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceLabels(Box<[Box<str>]>);

/// More labels than this make no service.
const SERVICE_LABELS_MAX: usize = 8;

impl ServiceLabels {
    /// No label: all series are of one service without a name.
    pub(crate) fn none() -> Self {
        Self(Box::default())
    }

    /// The service that these labels name; `None` where one of the labels is missing.
    pub fn service_of(&self, labels: &Labels) -> Option<Service> {
        let values: Option<Vec<&str>> = self.0.iter().map(|name| labels.get(name)).collect();
        Some(Service::new(&values?.join("/")))
    }

    /// The labels' names, in the order in which their values are joined.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl FromStr for ServiceLabels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: Box<[Box<str>]> = text.split('/').map(Box::from).collect();
        let sound = names.len() <= SERVICE_LABELS_MAX && names.iter().all(|name| is_label_name(name));
        sound.then_some(Self(names)).ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            format!(
                "{shown:?} is no label name: give one such as service, or several such as namespace/service"
            )
        })
    }
}

impl fmt::Display for ServiceLabels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

fn is_label_name(name: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well && name != "__name__" && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Longer expressions are refused: the parser's tree is as deep as an expression is long, and it is walked on the stack.
const PROMQL_BYTES_MAX: usize = 8192;

/// Checks that a text is PromQL that gives an instant vector, which is what a signal needs.
///
/// # Errors
/// A sentence for the person who wrote the config: what is wrong and a way out.
pub fn check_promql(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("is empty: give a PromQL expression, such as sum by (service) (rate(errors_total[5m]))"
            .to_owned());
    }
    if text.len() > PROMQL_BYTES_MAX {
        return Err(format!(
            "is {} bytes long, above the limit of {PROMQL_BYTES_MAX}: make it a recording rule and ask for that",
            text.len()
        ));
    }
    if let Some(refused) = beyond_the_parser(text) {
        return Err(refused);
    }
    // The parser is somebody else's, and a text that it panics on is a mistake in a config, no reason to end.
    let parsed = parsed(text);
    let expression = parsed.map_err(|error| {
        let error: String = error.chars().take(400).collect();
        let hint = unclosed(text).map(|opened| format!(" ({opened} is not closed)")).unwrap_or_default();
        format!("is not PromQL: {}{hint}", error.trim())
    })?;
    match expression.value_type() {
        ValueType::Vector => Ok(()),
        ValueType::Matrix => {
            Err("is a range vector, of which no point can be taken: wrap it in a function, such as rate(...)"
                .to_owned())
        }
        ValueType::Scalar => Err(
            "is a scalar, which has no labels and so no service: ask for a metric, or wrap it in vector(...)"
                .to_owned(),
        ),
        ValueType::String => Err("is a string, which has no values: ask for a metric".to_owned()),
    }
}

/// Parses an expression that [`check_promql`] takes.
pub(super) fn parsed(text: &str) -> Result<Expr, String> {
    std::panic::catch_unwind(|| parser::parse(text))
        .unwrap_or_else(|_| Err("the parser gives up on it: write it more simply".to_owned()))
}

/// The longest time that one point of an expression looks back over: the longest of its ranges, where a range within a
/// subquery adds to the subquery's. An offset moves what is looked at and lengthens nothing. Zero where there is no
/// range, and for what [`check_promql`] refuses.
pub fn longest_window(text: &str) -> Duration {
    match check_promql(text).and_then(|()| parsed(text)) {
        Ok(expression) => window_of(&expression),
        Err(_) => Duration::ZERO,
    }
}

fn window_of(expression: &Expr) -> Duration {
    match expression {
        Expr::MatrixSelector(selector) => selector.range,
        Expr::Subquery(subquery) => subquery.range.saturating_add(window_of(&subquery.expr)),
        Expr::Aggregate(aggregate) => {
            let parameter = aggregate.param.as_ref().map(|parameter| window_of(parameter));
            window_of(&aggregate.expr).max(parameter.unwrap_or_default())
        }
        Expr::Unary(unary) => window_of(&unary.expr),
        Expr::Binary(binary) => window_of(&binary.lhs).max(window_of(&binary.rhs)),
        Expr::Paren(paren) => window_of(&paren.expr),
        Expr::Call(call) => {
            call.args.args.iter().map(|argument| window_of(argument)).max().unwrap_or_default()
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::VectorSelector(_) | Expr::Extension(_) => {
            Duration::ZERO
        }
    }
}

/// What is known to be more than the parser can take: an escape before a letter beyond ASCII, and a number too large for
/// the duration that it stands for.
fn beyond_the_parser(text: &str) -> Option<String> {
    let escaped =
        text.chars().zip(text.chars().skip(1)).any(|(first, second)| first == '\\' && !second.is_ascii());
    if escaped {
        return Some("has a backslash before a letter that is not ASCII: leave the backslash out".to_owned());
    }
    let mut numbers = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '+'));
    let too_large = numbers.find(|word| {
        word.starts_with(|c: char| c.is_ascii_digit())
            && word.parse::<f64>().is_ok_and(|number| number > 1e15)
    })?;
    let shown: String = too_large.chars().take(40).collect();
    Some(format!("has the number {shown}, which is beyond what a query can mean: give one up to 1e15"))
}

/// The last bracket or quote that was opened and not closed.
fn unclosed(text: &str) -> Option<char> {
    let mut open = Vec::new();
    let mut quote = None;
    let mut escaped = false;
    for c in text.chars() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(q), '\\') if q != '`' => escaped = true,
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(' | '[' | '{') => open.push(c),
            (None, ')' | ']' | '}') => drop(open.pop()),
            (None, _) => {}
        }
    }
    quote.or_else(|| open.pop())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        match (check_promql(text), expected) {
            (Ok(()), None) => {}
            (Err(found), Some(expected)) => assert!(found.contains(expected), "{text}: {found}"),
            (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn expressions_that_give_an_instant_vector_pass() {
        check("up", None);
        check("demo_error_rate{service=~\".+\"}", None);
        check("sum by (service) (rate(http_requests_total{code=~\"5..\"}[5m]))", None);
        check("histogram_quantile(0.95, sum by (le, service) (rate(x_bucket[5m])))", None);
        check("(a / b) > 0.5 or on() vector(1)", None);
        check("max_over_time(rate(x[1m])[10m:1m])", None);
    }

    #[test]
    fn the_window_is_the_longest_range_and_a_subquery_adds_its_own() {
        let seconds = |text: &str| longest_window(text).as_secs();
        assert_eq!(seconds("up"), 0);
        assert_eq!(seconds("up offset 1h"), 0);
        assert_eq!(seconds("sum by (service) (rate(x{code=~\"5..\"}[5m]))"), 300);
        assert_eq!(seconds("rate(a[1m]) / clamp_min(increase(b[10m]), 1)"), 600);
        assert_eq!(seconds("-(rate(a[2m] offset 1d))"), 120);
        assert_eq!(seconds("max_over_time(rate(x[1m])[10m:1m])"), 660);
        assert_eq!(seconds("quantile(scalar(avg_over_time(q[3m])), rate(x[1m]))"), 180);
        assert_eq!(seconds("x[5m]"), 0, "refused");
    }

    #[test]
    fn what_gives_no_instant_vector_is_refused_with_a_way_out() {
        check("up[5m]", Some("wrap it in a function"));
        check("rate(x[1m])[10m:1m]", Some("range vector"));
        check("1 + 1", Some("scalar"));
        check("\"text\"", Some("string"));
    }

    #[test]
    fn what_is_no_promql_is_refused_with_a_reason() {
        check("", Some("empty"));
        check("sum(rate(x[5m])", Some("( is not closed"));
        check("x{a=\"b}", Some("is not PromQL"));
        check("nosuchfunction(x)", Some("nosuchfunction"));
        check("rate(x)", Some("expected"));
        check(&"x+".repeat(9000), Some("limit of 8192"));
    }

    #[test]
    fn what_the_parser_panics_on_is_refused_like_anything_else() {
        check("a[1e400]", Some("1e400"));
        check("a offset 1e400", Some("1e400"));
        check("a{b=\"\\é\"}", Some("backslash"));
    }

    #[test]
    fn the_deepest_expression_that_passes_the_limit_does_not_overflow_the_stack() {
        for (start, middle) in [("1", "+1"), ("x", "+x"), ("", "-"), ("", "("), ("", "sum("), ("", "x[1m:")] {
            let mut text = start.to_owned();
            text.push_str(&middle.repeat((PROMQL_BYTES_MAX - start.len() - 1) / middle.len()));
            let _ = check_promql(&text);
            text.push('1');
            let _ = check_promql(&text);
        }
        let half = PROMQL_BYTES_MAX / 2 - 1;
        check(&format!("{}x{}", "(".repeat(half), ")".repeat(half)), None);
    }

    #[test]
    fn several_labels_make_one_service() {
        let labels = Labels::new([("namespace", "shop"), ("app", "cart")]);
        let both: ServiceLabels = "namespace/app".parse().unwrap();
        assert_eq!(both.service_of(&labels), Some(Service::new("shop/cart")));
        assert_eq!(both.to_string(), "namespace/app");
        let lacking: ServiceLabels = "namespace/pod".parse().unwrap();
        assert_eq!(lacking.service_of(&labels), None);
    }

    #[test]
    fn what_is_no_label_is_refused() {
        for text in ["", "a b", "1a", "a/", "/", "__name__", "a/b/c/d/e/f/g/h/i"] {
            assert!(text.parse::<ServiceLabels>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}", promql in "[a-z(){}\\[\\]\"=~:0-9+\\- ]{0,60}") {
            let _ = check_promql(&text);
            let _ = check_promql(&promql);
        }
    }
}
