//! Whose fault a failed request is, and whether asking for less may help.

use crate::engine::Failure;
use crate::source::{DecodeError, SourceError};

/// Whose fault it is.
///
/// The backend's, or that of the way to it, is whatever would befall any other query too: no connection, no answer in
/// time, 429 and 5xx, a page of a proxy in place of an answer, a body that is cut or garbled. 401 and 403 are among
/// them: when a token has run out nobody is answered, nothing is judged, and that has to be told as loudly as a backend
/// that is down. So is 404: the path prefix is wrong for all; and so is a secret that cannot be read or sent, since all
/// ask with the same. Where only one query meets any of these, the others are answered, and the source counts as
/// answering.
///
/// A request that waited too long for its turn is the agent's own: it says neither that the backend is there nor that
/// it is not.
pub(in crate::runtime) fn failure_of(error: &SourceError) -> Failure {
    match error {
        SourceError::Connect { .. }
        | SourceError::Timeout { .. }
        | SourceError::NotJson { .. }
        | SourceError::Secret { .. }
        | SourceError::SecretText { .. }
        | SourceError::Worker { .. } => Failure::Backend,
        SourceError::RateLimit { .. } => Failure::Agent,
        SourceError::Status { status, .. } => match status {
            // A query that is refused, too long, or cannot be evaluated.
            400 | 413 | 414 | 422 => Failure::Query,
            _ => Failure::Backend,
        },
        SourceError::Decode { because, .. } => match because {
            DecodeError::Malformed(_) => Failure::Backend,
            DecodeError::Refused { error_type, .. } => match error_type.as_str() {
                "timeout" | "canceled" | "internal" | "unavailable" => Failure::Backend,
                _ => Failure::Query,
            },
            DecodeError::ResultType { .. }
            | DecodeError::Duplicate { .. }
            | DecodeError::SeriesLimit { .. } => Failure::Query,
        },
        SourceError::Settings(_) | SourceError::Query { .. } | SourceError::TooLarge { .. } => Failure::Query,
    }
}

/// Whether it may help to ask for fewer steps at once: the answer was too large or took too long, or the backend says
/// that it would have to read too much.
pub(in crate::runtime) fn asks_too_much(error: &SourceError) -> bool {
    match error {
        SourceError::Timeout { .. } | SourceError::TooLarge { .. } => true,
        SourceError::Status { status, because, .. } => {
            matches!(status, 413 | 422) || (*status == 503 && because.starts_with("timeout"))
        }
        SourceError::Decode { because: DecodeError::Refused { error_type, .. }, .. } => {
            matches!(error_type.as_str(), "timeout" | "execution")
        }
        SourceError::Settings(_)
        | SourceError::Query { .. }
        | SourceError::Secret { .. }
        | SourceError::SecretText { .. }
        | SourceError::Connect { .. }
        | SourceError::RateLimit { .. }
        | SourceError::NotJson { .. }
        | SourceError::Decode { .. }
        | SourceError::Worker { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

    use super::*;
    use crate::secret::Secret;
    use crate::series::SignalName;
    use crate::source::{Answer, Prometheus, Settings, SignalQuery, TimeRange};
    use crate::time::Timestamp;

    async fn ask(client: &Prometheus) -> Result<Answer, SourceError> {
        let query = SignalQuery {
            signal: SignalName::new("errors"),
            promql: "up".to_owned(),
            step: Duration::from_secs(15),
            service_label: "service".parse().unwrap(),
        };
        client.range(&query, TimeRange::new(Timestamp::default(), Timestamp::default()).unwrap()).await
    }

    /// What a real request makes of an answer.
    #[track_caller]
    fn check(status: u16, content_type: &str, body: &str, expected: (Failure, bool)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(async {
            let server = MockServer::start().await;
            let reply = ResponseTemplate::new(status).set_body_raw(body, content_type);
            Mock::given(matchers::any()).respond_with(reply).mount(&server).await;
            ask(&Prometheus::new(&Settings::for_test(&server.uri())).unwrap()).await.unwrap_err()
        });
        assert_eq!((failure_of(&error), asks_too_much(&error)), expected, "{error}");
    }

    fn refusal(kind: &str) -> String {
        format!(r#"{{"status":"error","errorType":"{kind}","error":"no"}}"#)
    }

    #[test]
    fn what_would_befall_any_query_is_the_backends() {
        for status in [401, 403, 404, 429, 500, 502, 503, 504] {
            check(status, "text/plain", "no", (Failure::Backend, false));
        }
        check(302, "text/html", "<html>log in</html>", (Failure::Backend, false));
        check(200, "text/html", "<html>log in</html>", (Failure::Backend, false));
        check(200, "application/json", r#"{"status":"success","data":{"resu"#, (Failure::Backend, false));
        check(503, "application/json", &refusal("timeout"), (Failure::Backend, true));
        check(200, "application/json", &refusal("unavailable"), (Failure::Backend, false));
    }

    #[test]
    fn what_only_this_query_meets_is_its_own() {
        check(400, "application/json", &refusal("bad_data"), (Failure::Query, false));
        check(422, "application/json", &refusal("execution"), (Failure::Query, true));
        check(200, "application/json", &refusal("bad_data"), (Failure::Query, false));
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#;
        check(200, "application/json", scalar, (Failure::Query, false));
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_had_befalls_any_query() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        let mut settings = Settings::for_test("http://127.0.0.1:9");
        settings.http.headers = vec![("x-token".to_owned(), Secret::File(token.clone()))];
        std::fs::write(&token, "first").unwrap();
        let client = Prometheus::new(&settings).unwrap();
        std::fs::remove_file(&token).unwrap();
        let gone = ask(&client).await.unwrap_err();
        assert!(matches!(gone, SourceError::Secret { .. }), "{gone}");
        std::fs::write(&token, "two\u{1}parts").unwrap();
        let unfit = ask(&client).await.unwrap_err();
        assert!(matches!(unfit, SourceError::SecretText { .. }), "{unfit}");
        for error in [gone, unfit] {
            assert_eq!((failure_of(&error), asks_too_much(&error)), (Failure::Backend, false), "{error}");
        }
    }

    #[tokio::test]
    async fn a_request_that_had_no_turn_is_the_agents_own() {
        let mut settings = Settings::for_test("http://127.0.0.1:9");
        (settings.requests_per_second, settings.burst) = (1, 1);
        settings.timeout = Duration::from_millis(100);
        let client = Prometheus::new(&settings).unwrap();
        let outcomes = [ask(&client).await.unwrap_err(), ask(&client).await.unwrap_err()];
        assert_eq!(outcomes.each_ref().map(failure_of), [Failure::Backend, Failure::Agent], "{outcomes:?}");
    }
}
