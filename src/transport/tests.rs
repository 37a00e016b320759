//! The way itself, over real HTTP where one is needed.

use reqwest::Url;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{Authorization, Destination, Proxy, Settings, Transport, TransportError};
use crate::secret::Secret;

fn way(settings: &Settings, url: &str) -> Transport {
    let to = Destination { table: "source.http", url: Url::parse(url).unwrap(), timeout: None };
    Transport::new(settings, to).unwrap()
}

fn scheme(scheme: &str, credentials: Secret) -> Authorization {
    Authorization::Scheme { scheme: scheme.to_owned(), credentials }
}

async fn sent(settings: &Settings) -> wiremock::Request {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let ready = way(settings, &server.uri()).ready().await.unwrap();
    ready.client.get(server.uri()).headers(ready.headers).send().await.unwrap();
    server.received_requests().await.unwrap().remove(0)
}

#[tokio::test]
async fn any_scheme_a_tenant_and_headers_go_out() {
    let request = sent(&Settings {
        authorization: scheme("Token", Secret::inline("abc")),
        tenant: Some("team-a".to_owned()),
        headers: vec![("X-Api-Key".to_owned(), Secret::inline("k"))],
        ..Settings::default()
    })
    .await;
    assert_eq!(request.headers["authorization"], "Token abc");
    assert_eq!(request.headers["x-scope-orgid"], "team-a");
    assert_eq!(request.headers["x-api-key"], "k");
    assert_eq!(request.headers["user-agent"], concat!("portent/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn nothing_goes_out_that_was_not_set() {
    let request = sent(&Settings::default()).await;
    for name in ["authorization", "x-scope-orgid", "proxy-authorization", "accept-encoding"] {
        assert!(!request.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn what_is_ready_shows_no_secret() {
    let authorization = scheme("Bearer", Secret::inline("hunter2"));
    let ready = way(&Settings { authorization, ..Settings::default() }, "http://host").ready().await.unwrap();
    assert!(!format!("{ready:?}").contains("hunter2"));
    assert_eq!(ready.secrets.len(), 1);
}

#[tokio::test]
async fn a_plain_request_goes_to_the_proxy_with_its_own_credentials() {
    let proxy = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(200)).mount(&proxy).await;
    let basic_auth = Some(("me".to_owned(), Secret::inline("open sesame")));
    let settings = Settings { proxy: Some(Proxy { url: proxy.uri(), basic_auth }), ..Settings::default() };
    let ready = way(&settings, "http://backend.invalid/p").ready().await.unwrap();
    ready.client.get("http://backend.invalid/p").headers(ready.headers).send().await.unwrap();
    let request = proxy.received_requests().await.unwrap().remove(0);
    assert_eq!(request.headers["host"], "backend.invalid");
    assert_eq!(request.headers["proxy-authorization"], "Basic bWU6b3BlbiBzZXNhbWU=");
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_or_sent_is_named() {
    let outcome = |secret: Secret| async {
        let settings = Settings { authorization: scheme("Bearer", secret), ..Settings::default() };
        way(&settings, "http://host").ready().await.unwrap_err()
    };
    let error = outcome(Secret::File("/nonexistent/token".into())).await;
    assert!(matches!(error, TransportError::Secret(_)) && error.to_string().contains("/nonexistent/token"));
    let error = outcome(Secret::inline("hunter2\nx")).await;
    assert!(matches!(error, TransportError::SecretText { .. }) && !error.to_string().contains("hunter2"));
}

#[test]
fn settings_that_cannot_be_used_are_told_at_once() {
    let settings = Settings { tenant: Some("a\nb".to_owned()), ..Settings::default() };
    let to = Destination { table: "source.http", url: Url::parse("http://host").unwrap(), timeout: None };
    let error = Transport::new(&settings, to).unwrap_err();
    assert_eq!(error.to_string(), "tenant: \"a\\nb\" cannot stand in a header: give printable ASCII");
}
