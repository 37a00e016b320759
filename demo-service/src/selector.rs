//! Plain instant-vector selectors: a metric name and label matchers, alone or summed over all that they select.

use promql_parser::label::{METRIC_NAME, Matcher};
use promql_parser::parser::{AggregateExpr, Expr, VectorSelector, token};

/// The longest expression that is looked at, in bytes.
pub(crate) const QUERY_BYTES_MAX: usize = 4096;
/// How many opening parentheses there may be; what has more is not a plain selector anyway.
const PARENTHESES_MAX: usize = 64;

/// What an expression asks for.
#[derive(Debug)]
pub(crate) enum Expression {
    /// Each series that is selected.
    Each(Selector),
    /// Their sum, which has no labels.
    Sum(Selector),
}

/// What series an expression selects.
#[derive(Debug)]
pub(crate) struct Selector {
    matchers: Vec<Matcher>,
}

/// Why an expression selects nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectorError {
    #[error("parse error: {0}")]
    Syntax(String),
    #[error("the expression has {0} bytes, the limit is {QUERY_BYTES_MAX}")]
    TooLong(usize),
    #[error(
        "this demo service answers plain selectors only, such as demo_error_rate{{service=\"payment-service\"}}, or the \
         sum of one, such as sum(up), and this is {0}: scrape /metrics with a real Prometheus for the rest"
    )]
    NotPlain(&'static str),
}

impl Expression {
    pub(crate) fn parse(query: &str) -> Result<Self, SelectorError> {
        if query.len() > QUERY_BYTES_MAX {
            return Err(SelectorError::TooLong(query.len()));
        }
        screen(query)?;
        let expr = bare(promql_parser::parser::parse(query).map_err(SelectorError::Syntax)?);
        match expr {
            Expr::Aggregate(AggregateExpr { op, expr, param: None, modifier: None })
                if op.id() == token::T_SUM =>
            {
                Selector::from_expr(bare(*expr)).map(Self::Sum)
            }
            expr => Selector::from_expr(expr).map(Self::Each),
        }
    }
}

/// Takes the parentheses around an expression away.
fn bare(mut expr: Expr) -> Expr {
    while let Expr::Paren(inner) = expr {
        expr = *inner.expr;
    }
    expr
}

impl Selector {
    fn from_expr(expr: Expr) -> Result<Self, SelectorError> {
        match expr {
            Expr::VectorSelector(selector) => Self::from_vector(selector),
            Expr::Aggregate(_) => Err(SelectorError::NotPlain("an aggregation")),
            Expr::Unary(_) | Expr::Binary(_) | Expr::Paren(_) => Err(SelectorError::NotPlain("an operation")),
            Expr::Subquery(_) => Err(SelectorError::NotPlain("a subquery")),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Err(SelectorError::NotPlain("a literal")),
            Expr::MatrixSelector(_) => Err(SelectorError::NotPlain("a range selector")),
            Expr::Call(_) | Expr::Extension(_) => Err(SelectorError::NotPlain("a function call")),
        }
    }

    fn from_vector(selector: VectorSelector) -> Result<Self, SelectorError> {
        if selector.offset.is_some() || selector.at.is_some() {
            return Err(SelectorError::NotPlain("a selector with a modifier"));
        }
        if !selector.matchers.or_matchers.is_empty() {
            return Err(SelectorError::NotPlain("a selector with alternatives"));
        }
        let mut matchers = selector.matchers.matchers;
        if let Some(name) = selector.name {
            matchers.push(Matcher::new_metric_name_matcher(name).map_err(SelectorError::Syntax)?);
        }
        Ok(Self { matchers })
    }

    /// Tells whether the series with this name and this `service` label is selected. As in Prometheus a label that a
    /// series lacks is the same as an empty one.
    pub(crate) fn matches(&self, metric: &str, service: &str) -> bool {
        self.matchers.iter().all(|matcher| {
            matcher.is_match(match matcher.name.as_str() {
                METRIC_NAME => metric,
                "service" => service,
                _ => "",
            })
        })
    }
}

/// Refuses by its letters what can't be a plain selector, or what the parser can't take: it recurses into nested
/// expressions, panics on durations beyond its range, and cuts a quoted text at the byte after an escaped character,
/// which may lie within a letter.
fn screen(query: &str) -> Result<(), SelectorError> {
    let mut quote = None;
    let mut escaped = false;
    let mut in_braces = false;
    let mut outside = String::new();
    for letter in query.chars() {
        match quote {
            Some(_) if escaped && !letter.is_ascii() => {
                return Err(SelectorError::Syntax(format!("unknown escape sequence '\\{letter}'")));
            }
            Some(_) if escaped => escaped = false,
            Some(open) if letter == open => quote = None,
            Some(open) => escaped = letter == '\\' && open != '`',
            None if matches!(letter, '"' | '\'' | '`') => quote = Some(letter),
            None => {
                refuse_letter(letter)?;
                in_braces = letter == '{' || (in_braces && letter != '}');
                outside.push(if in_braces { ' ' } else { letter });
            }
        }
    }
    if outside.matches('(').count() > PARENTHESES_MAX {
        return Err(SelectorError::NotPlain("an expression nested too deeply"));
    }
    let mut words =
        outside.split(|letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '_' | ':'));
    if words.any(|word| word.eq_ignore_ascii_case("offset")) {
        return Err(SelectorError::NotPlain("a selector with an offset"));
    }
    Ok(())
}

/// Refuses a letter that no plain selector has outside of its quoted texts.
fn refuse_letter(letter: char) -> Result<(), SelectorError> {
    match letter {
        '[' => Err(SelectorError::NotPlain("a range selector or a subquery")),
        '@' => Err(SelectorError::NotPlain("a selector with an @ modifier")),
        '#' => Err(SelectorError::NotPlain("an expression with a comment")),
        '+' | '-' | '*' | '/' | '%' | '^' | '<' | '>' => Err(SelectorError::NotPlain("an operation")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wave::{SERVICES, Signal};

    /// Lists what an expression selects: metric and service without their prefixes and suffixes.
    #[track_caller]
    fn selects(query: &str, expected: usize) {
        let (Expression::Each(selector) | Expression::Sum(selector)) = Expression::parse(query).unwrap();
        let all =
            SERVICES.iter().flat_map(|service| Signal::ALL.map(|signal| (signal.metric(), service.name)));
        assert_eq!(
            all.filter(|(metric, service)| selector.matches(metric, service)).count(),
            expected,
            "{query}"
        );
    }

    #[track_caller]
    fn refuses(query: &str, word: &str) {
        let error = Expression::parse(query).unwrap_err().to_string();
        assert!(error.contains(word), "{query}: {error}");
    }

    #[test]
    fn a_name_selects_all_services() {
        selects("demo_error_rate", 5);
        selects("(demo_error_rate)", 5);
        selects("{__name__=\"demo_error_rate\"}", 5);
        selects("{__name__=~\"demo_.*\"}", 25);
        selects("nothing_like_it", 0);
    }

    #[test]
    fn matchers_narrow_what_a_name_selects() {
        selects("demo_error_rate{service=\"user-service\"}", 1);
        selects("demo_error_rate{service='user-service'}", 1);
        selects("demo_error_rate{service!=\"user-service\"}", 4);
        selects("demo_error_rate{service=~\"user-service|order-service\"}", 2);
        selects("demo_error_rate{service!~\".*-service\"}", 0);
        selects("demo_error_rate{service=~\".+\",service!=\"user-service\"}", 4);
        selects("{service=\"user-service\"}", 5);
    }

    #[test]
    fn a_sum_selects_as_its_selector_does() {
        for query in
            ["sum(demo_error_rate)", "(sum((demo_error_rate)))", "sum({__name__=\"demo_error_rate\"})"]
        {
            selects(query, 5);
            assert!(matches!(Expression::parse(query), Ok(Expression::Sum(_))), "{query}");
        }
        assert!(matches!(Expression::parse("(demo_error_rate)"), Ok(Expression::Each(_))));
    }

    #[test]
    fn a_regex_is_anchored_at_both_ends() {
        selects("demo_error_rate{service=~\"user\"}", 0);
        selects("demo_error_rate{service=~\"user.*\"}", 1);
        selects("demo_error_rate{service!~\"user\"}", 5);
    }

    #[test]
    fn a_label_that_a_series_lacks_is_empty() {
        selects("demo_error_rate{job=\"\"}", 5);
        selects("demo_error_rate{job!=\"\"}", 0);
        selects("demo_error_rate{job=~\".*\"}", 5);
        selects("demo_error_rate{job=\"x\"}", 0);
        selects("demo_error_rate{offset=\"\"}", 5);
    }

    #[test]
    fn what_is_more_than_a_selector_is_refused_with_a_way_out() {
        for query in [
            "rate(demo_error_rate[5m])",
            "avg(demo_error_rate)",
            "sum by (service) (demo_error_rate)",
            "sum(sum(demo_error_rate))",
            "sum(rate(demo_error_rate[5m]))",
            "demo_error_rate + 1",
            "-demo_error_rate",
            "1",
            "\"x\"",
            "demo_error_rate[5m]",
            "demo_error_rate offset 5m",
            "demo_error_rate @ 0",
            "demo_error_rate[5m:1m]",
            "demo_error_rate and demo_cpu_usage",
            "(sum(demo_error_rate + 1))",
        ] {
            refuses(query, "plain selectors only");
            refuses(query, "scrape /metrics");
        }
    }

    #[test]
    fn what_is_no_promql_is_a_parse_error() {
        for query in ["", "demo{", "{}", "{job=~\".*\"}", "demo_error_rate{service=~\"(\"}", "a b", "\u{0}"] {
            refuses(query, "parse error");
        }
    }

    #[test]
    fn hostile_expressions_are_refused_and_never_panic() {
        refuses(&"a".repeat(QUERY_BYTES_MAX + 1), "limit is 4096");
        for opening in ["(", "-", "[", "{", "\"", "sum(", "-(", "a[", "+-", "a{b=~\"(", "1 + ", "a / ("] {
            let query = opening.repeat(QUERY_BYTES_MAX / opening.len());
            assert!(Expression::parse(&query).is_err());
            assert!(Expression::parse(&format!("{}a", &query[..query.len() - 1])).is_err());
        }
        for query in [
            "{a=\"\\\u{e9}\"}",
            "{a=~\"x{1000}{1000}{1000}\"}",
            "a[-1]",
            "a[1e400]",
            "a offset -99999999y",
            "a[1e30s]",
            "a @ 1e400",
            "a offset 1e400 and b{}",
            "a offset 1e400 or b",
            "a{}OFFSET 1e400",
            "{a=`}`} offset 1e400",
            "a# '\n[1e400]",
        ] {
            assert!(Expression::parse(query).is_err(), "{query}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_text_panics(query in ".{0,60}") {
            let _ = Expression::parse(&query);
        }

        #[test]
        fn no_text_of_promql_tokens_panics(
            query in r#"((demo_error_rate|offset 1e400|rate|sum|by|and|offset|start|bool|on|NaN|Inf|service|5m|1e9|0x|\[|\]|\(|\)|\{|\}|=|!=|=~|!~|"|'|`|\\|@|:|,|-|\+|\*|/|%|\^|>|<| |\.|[0-9]|\p{L})){0,16}"#
        ) {
            let _ = Expression::parse(&query);
        }

        #[test]
        fn no_matcher_panics(value in ".{0,30}", operator in "(=|!=|=~|!~)", quote in "[\"'`]") {
            let _ = Expression::parse(&format!("demo_error_rate{{service{operator}{quote}{value}{quote}}}"));
        }
    }
}
