//! Which metrics an expression asks for, and which there are.

use std::collections::BTreeSet;

use promql_parser::parser::{self, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};

use super::shipped::portent;

#[derive(Default)]
struct Names(BTreeSet<String>);

impl ExprVisitor for Names {
    type Error = String;

    fn pre_visit(&mut self, plan: &Expr) -> Result<bool, Self::Error> {
        let selector = match plan {
            Expr::VectorSelector(selector) => selector,
            Expr::MatrixSelector(matrix) => &matrix.vs,
            _ => return Ok(true),
        };
        self.0.insert(selector.name.clone().ok_or("a selector without a name")?);
        Ok(true)
    }
}

/// The metrics that an expression asks for.
#[track_caller]
pub(crate) fn metrics_of(expression: &str) -> BTreeSet<String> {
    let parsed = parser::parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let mut names = Names::default();
    walk_expr(&mut names, &parsed).unwrap_or_else(|error| panic!("{expression}: {error}"));
    assert!(!names.0.is_empty(), "{expression} asks for nothing");
    names.0
}

/// The agent's own metrics: the names under which its series are stored.
pub(crate) fn catalogue() -> BTreeSet<String> {
    let output = portent(&["reference".to_owned(), "metrics".to_owned()]);
    let reference = String::from_utf8(output.stdout).unwrap();
    let rows = reference.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut names = BTreeSet::new();
    for row in rows {
        let (name, rest) = row.split_once("` | ").unwrap();
        match rest.starts_with("histogram") {
            true => names.extend(["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}"))),
            false => {
                names.insert(name.to_owned());
            }
        }
    }
    assert!(names.len() > 30, "{names:?}");
    names
}

#[test]
fn an_expression_gives_up_every_metric_that_it_asks_for() {
    let names = metrics_of(
        "sum by (le) (rate(a_bucket{x=\"1\"}[5m])) / on () group_left max_over_time(b[1h:5m]) > time() - c",
    );
    assert_eq!(names, BTreeSet::from(["a_bucket", "b", "c"].map(str::to_owned)));
}
