//! What a backend holds: its metrics, their labels, and single points. Asked when a config is written, never while the
//! agent watches.

use std::sync::Arc;

use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::Prometheus;
use crate::series::Labels;
use crate::source::{Asked, DecodeError, Flaw, SourceError, TimeRange};
use crate::time::Timestamp;

/// Something that was learnt, and what its answer weighed.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen<T> {
    /// What was learnt.
    pub value: T,
    /// The bytes of the answer's body.
    pub bytes: usize,
}

/// One series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its labels, without the metric's name.
    pub labels: Labels,
    /// Its metric; empty where the expression dropped it.
    pub metric: String,
    /// Its value; may be `NaN`.
    pub value: f64,
}

/// What a metric's exporter says about it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Family {
    /// `counter`, `gauge`, `histogram`, or another word.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// A sentence for people, as the exporter wrote it: it may hold anything.
    #[serde(default)]
    pub help: String,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Outcome<T> {
    result: Vec<T>,
}

#[derive(Deserialize)]
struct VectorRow {
    metric: std::collections::BTreeMap<String, String>,
    value: (f64, String),
}

#[derive(Deserialize)]
struct MatrixRow {
    #[serde(default)]
    values: Vec<(f64, String)>,
}

/// The label that holds the metric's name.
const NAME: &str = "__name__";

impl Prometheus {
    /// The names of all metrics that had a sample within a range, sorted.
    ///
    /// # Errors
    /// As [`Prometheus::range`].
    pub async fn metric_names(&self, within: TimeRange) -> Result<Seen<Vec<String>>, SourceError> {
        let bounds = bounds(within);
        let form = [("start", bounds.0.as_str()), ("end", bounds.1.as_str())];
        self.sorted(&format!("label/{NAME}/values"), &form).await
    }

    /// The names of the labels that the series of a selector have within a range, sorted.
    ///
    /// # Errors
    /// As [`Prometheus::range`].
    pub async fn label_names(
        &self,
        selector: &str,
        within: TimeRange,
    ) -> Result<Seen<Vec<String>>, SourceError> {
        let bounds = bounds(within);
        let form = [("match[]", selector), ("start", bounds.0.as_str()), ("end", bounds.1.as_str())];
        self.sorted("labels", &form).await
    }

    /// What an expression gives at a moment, in the order of the labels.
    ///
    /// # Errors
    /// As [`Prometheus::range`].
    pub async fn instant(&self, promql: &str, at: Timestamp) -> Result<Seen<Vec<Point>>, SourceError> {
        let outcome: Seen<Outcome<VectorRow>> = self.query(promql, at).await?;
        let mut points: Vec<Point> = outcome.value.result.into_iter().map(Point::of).collect();
        points.sort_by(|one, other| (&one.metric, &one.labels).cmp(&(&other.metric, &other.labels)));
        Ok(Seen { value: points, bytes: outcome.bytes })
    }

    /// The times of the raw samples that a range selector such as `up[5m]` covers at a moment: a row a series, in
    /// milliseconds.
    ///
    /// # Errors
    /// As [`Prometheus::range`].
    pub async fn sample_times(
        &self,
        selector: &str,
        at: Timestamp,
    ) -> Result<Seen<Vec<Vec<i64>>>, SourceError> {
        let outcome: Seen<Outcome<MatrixRow>> = self.query(selector, at).await?;
        let times = |row: MatrixRow| {
            let times = row.values.iter().filter_map(|(at, _)| Timestamp::from_seconds(*at));
            times.map(Timestamp::as_millis).collect()
        };
        let rows = outcome.value.result.into_iter().map(times).collect();
        Ok(Seen { value: rows, bytes: outcome.bytes })
    }

    /// What the exporters of a metric say about it; `None` where the backend keeps nothing of that.
    ///
    /// # Errors
    /// As [`Prometheus::range`].
    pub async fn metadata(&self, metric: &str) -> Result<Seen<Option<Family>>, SourceError> {
        type Metadata = std::collections::BTreeMap<String, Vec<Family>>;
        let form = [("metric", metric), ("limit", "1")];
        let mut seen: Seen<Metadata> = self.look(&Method::GET, "metadata", &form).await?;
        let family = seen.value.remove(metric).and_then(|families| families.into_iter().next());
        Ok(Seen { value: family, bytes: seen.bytes })
    }

    async fn sorted(&self, path: &str, form: &[(&str, &str)]) -> Result<Seen<Vec<String>>, SourceError> {
        let mut seen: Seen<Vec<String>> = self.look(&Method::GET, path, form).await?;
        seen.value.sort();
        seen.value.dedup();
        Ok(seen)
    }

    async fn query<T: DeserializeOwned>(&self, promql: &str, at: Timestamp) -> Result<Seen<T>, SourceError> {
        let at = seconds(at);
        self.look(&Method::POST, "query", &[("query", promql), ("time", &at)]).await
    }

    async fn look<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Seen<T>, SourceError> {
        let (asked, body) = self.call(method, path, form).await?;
        let envelope: Envelope<T> = serde_json::from_slice(&body).map_err(|_| unreadable(asked))?;
        Ok(Seen { value: envelope.data, bytes: body.len() })
    }
}

impl Point {
    fn of(row: VectorRow) -> Self {
        let mut labels = row.metric;
        let metric = labels.remove(NAME).unwrap_or_default();
        Self { labels: Labels::new(labels), metric, value: row.value.1.parse().unwrap_or(f64::NAN) }
    }
}

fn bounds(within: TimeRange) -> (String, String) {
    (seconds(within.start()), seconds(within.end()))
}

fn seconds(at: Timestamp) -> String {
    format!("{:.3}", at.as_seconds())
}

fn unreadable(asked: Arc<Asked>) -> SourceError {
    let flaw = Flaw { at: 0, because: "the answer is not of the API's shape" };
    SourceError::Decode { asked, because: DecodeError::Malformed(flaw) }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{body_string_contains, method, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::source::Settings;

    fn hour() -> TimeRange {
        TimeRange::new(Timestamp::from_millis(0), Timestamp::from_millis(3_600_500)).unwrap()
    }

    /// A backend under a path prefix that answers one request like this.
    async fn backend(mock: wiremock::MockBuilder, body: &str) -> (MockServer, Prometheus) {
        let server = MockServer::start().await;
        mock.respond_with(ResponseTemplate::new(200).set_body_raw(body, "application/json"))
            .mount(&server)
            .await;
        let client = Prometheus::new(&Settings::for_test(&format!("{}/prefix", server.uri()))).unwrap();
        (server, client)
    }

    #[tokio::test]
    async fn names_come_sorted_and_once() {
        let mock = Mock::given(method("GET"))
            .and(path("/prefix/api/v1/label/__name__/values"))
            .and(query_param("start", "0.000"))
            .and(query_param("end", "3600.500"));
        let (_server, client) = backend(mock, r#"{"status":"success","data":["b","a","b"]}"#).await;
        let seen = client.metric_names(hour()).await.unwrap();
        assert_eq!((seen.value, seen.bytes), (vec!["a".to_owned(), "b".to_owned()], 41));
    }

    #[tokio::test]
    async fn labels_are_asked_of_a_selector() {
        let mock =
            Mock::given(method("GET")).and(path("/prefix/api/v1/labels")).and(query_param("match[]", "up"));
        let (_server, client) = backend(mock, r#"{"status":"success","data":["job"]}"#).await;
        assert_eq!(client.label_names("up", hour()).await.unwrap().value, ["job"]);
    }

    #[tokio::test]
    async fn an_instant_vector_comes_in_the_order_of_its_labels() {
        let mock = Mock::given(method("POST"))
            .and(path("/prefix/api/v1/query"))
            .and(body_string_contains("query=count%28up%29&time=7.000"));
        let body = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"up","job":"b"},"value":[7,"2"]},{"metric":{"__name__":"up","job":"a"},"value":[7,"NaN"]}]}}"#;
        let (_server, client) = backend(mock, body).await;
        let seen = client.instant("count(up)", Timestamp::from_millis(7000)).await.unwrap().value;
        let jobs: Vec<_> = seen.iter().map(|point| point.labels.get("job").unwrap()).collect();
        assert_eq!(jobs, ["a", "b"]);
        assert_eq!(seen[1].metric, "up");
        assert!(seen[0].value.is_nan() && (seen[1].value - 2.0).abs() < 1e-9);
    }

    #[tokio::test]
    async fn raw_samples_give_their_times() {
        let body = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2.5,"1"]]}]}}"#;
        let (_server, client) = backend(Mock::given(method("POST")), body).await;
        let seen = client.sample_times("up[5m]", Timestamp::from_millis(7000)).await.unwrap();
        assert_eq!(seen.value, [[1000, 2500]]);
    }

    #[tokio::test]
    async fn metadata_is_what_the_exporter_says_or_nothing() {
        let body = r#"{"status":"success","data":{"up":[{"type":"gauge","help":"Is it?","unit":""}]}}"#;
        let (_server, client) = backend(Mock::given(path("/prefix/api/v1/metadata")), body).await;
        let family = client.metadata("up").await.unwrap().value.unwrap();
        assert_eq!((family.kind.as_str(), family.help.as_str()), ("gauge", "Is it?"));
        assert_eq!(client.metadata("down").await.unwrap().value, None);
    }

    #[tokio::test]
    async fn an_answer_of_another_shape_is_an_error_that_names_the_request() {
        let (_server, client) = backend(Mock::given(method("GET")), r#"{"data":7}"#).await;
        let error = client.metric_names(hour()).await.unwrap_err().to_string();
        assert!(error.contains("label/__name__/values") && error.contains("shape"), "{error}");
    }
}
