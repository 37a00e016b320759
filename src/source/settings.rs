//! What the config says about the backend, and what may stand there.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use reqwest::Url;

use super::plan::Limits;
use super::prometheus::BackendKind;
use crate::time::format_duration;
use crate::transport;

/// How to reach a Prometheus-compatible backend, and how much to ask of it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where its API is: `http` or `https`, with a path prefix where it has one. `http://host/prometheus` is asked at
    /// `http://host/prometheus/api/v1/query_range`. User and password do not belong here but under `http`.
    pub url: String,
    /// How to connect, and how the agent shows who it is.
    pub http: transport::Settings,
    /// Which backend it is; found out where it is `None`.
    pub kind: Option<BackendKind>,
    /// How long one attempt may take, from connecting to the last byte: 10 ms to 10 min. The backend is told it too.
    pub timeout: Duration,
    /// How far behind the clock the newest step lies that is asked for, so that late samples do not look like a cliff:
    /// 0 to 1 day.
    pub query_delay: Duration,
    /// The expression by which the backend's own gaps are seen; empty for none. See `source.pulse` in the config.
    pub pulse: String,
    /// Requests a second in the long run, over all signals and retries: 1 to 10,000.
    pub requests_per_second: u32,
    /// Requests that may go out at once before `requests_per_second` holds them back: 1 to 10,000.
    pub burst: u32,
    /// Further attempts after a failure that may pass by itself: 0 to 10.
    pub retries: u32,
    /// Series that one query may return, 1 to 1,000,000. More is an error, never a part of the answer.
    pub series_limit: usize,
    /// Bytes that the answer to one request is planned to have: 64 KiB to 1 GiB. Four times as many are an error.
    pub bytes_per_request: usize,
    /// Samples that the answer to one request is planned to have: 1 to 50,000,000.
    pub samples_per_request: usize,
    /// Points a series of one request: 1 to 11,000, beyond which Prometheus refuses.
    pub points_per_series: usize,
}

/// A key of these settings that cannot stand as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key, without the table: `url`.
    pub key: &'static str,
    /// The value seen and a way out. Never holds a secret.
    pub because: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source.{}: {}", self.key, self.because)
    }
}

const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(600);
const DELAYS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(86_400);
impl Settings {
    /// Everything that is wrong beside `http`, which says so itself, in the order of the keys; empty where all is well.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut found = Vec::new();
        let mut note = |key, because: Option<String>| {
            found.extend(because.map(|because| Mistake { key, because }));
        };
        note("url", self.base_url().err());
        note("timeout", outside_span(self.timeout, &TIMEOUTS));
        note("query_delay", outside_span(self.query_delay, &DELAYS));
        note("requests_per_second", outside(self.requests_per_second as usize, 1..=10_000));
        note("burst", outside(self.burst as usize, 1..=10_000));
        note("retries", outside(self.retries as usize, 0..=10));
        note("series_limit", outside(self.series_limit, 1..=1_000_000));
        note("bytes_per_request", outside(self.bytes_per_request, 65_536..=1 << 30));
        note("samples_per_request", outside(self.samples_per_request, 1..=50_000_000));
        note("points_per_series", outside(self.points_per_series, 1..=11_000));
        found
    }

    /// What one request may ask for.
    pub fn limits(&self) -> Limits {
        Limits {
            points_per_series: self.points_per_series,
            samples_per_request: self.samples_per_request,
            bytes_per_request: self.bytes_per_request,
        }
    }

    /// The URL that the API's paths are put after, without a slash at the end of its path.
    pub(super) fn base_url(&self) -> Result<Url, String> {
        let way_out = "give something like http://prometheus:9090 or https://host/prometheus";
        // The text itself is quoted only once it is known to hold no password.
        let mut url = Url::parse(&self.url).map_err(|error| format!("is no URL ({error}): {way_out}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "holds a user or a password: put them under source.http.basic_auth, the password in a file"
                    .to_owned(),
            );
        }
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(format!("{:?} is neither http nor https: {way_out}", clip(&self.url)));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("has a part after its path ({:?}): {way_out}", url.path()));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(url)
    }
}

fn outside(value: usize, allowed: RangeInclusive<usize>) -> Option<String> {
    let (least, most) = (allowed.start(), allowed.end());
    (!allowed.contains(&value)).then(|| format!("{value} is not allowed: give {least} to {most}"))
}

fn outside_span(value: Duration, allowed: &RangeInclusive<Duration>) -> Option<String> {
    let (least, most) = (format_duration(*allowed.start()), format_duration(*allowed.end()));
    (!allowed.contains(&value))
        .then(|| format!("{} is not allowed: give {least} to {most}", format_duration(value)))
}

fn clip(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
impl Settings {
    /// Generous settings for a backend on loopback.
    pub(crate) fn for_test(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            http: transport::Settings::default(),
            kind: Some(BackendKind::Prometheus),
            timeout: Duration::from_secs(10),
            query_delay: Duration::ZERO,
            pulse: String::new(),
            requests_per_second: 1000,
            burst: 1000,
            retries: 0,
            series_limit: 1000,
            bytes_per_request: 1 << 23,
            samples_per_request: 5_000_000,
            points_per_series: 11_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Settings), mistakes: &[&str]) {
        let mut settings = Settings::for_test("http://prometheus:9090");
        change(&mut settings);
        let found: Vec<_> = settings.mistakes().iter().map(|m| m.key).collect();
        assert_eq!(found, mistakes, "{:?}", settings.mistakes());
    }

    #[test]
    fn sound_settings_have_no_mistakes() {
        check(|_| (), &[]);
        check(|s| s.url = "https://host/prometheus/".to_owned(), &[]);
        check(|s| s.url = "http://[::1]:9090".to_owned(), &[]);
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        check(
            |s| {
                s.url = "ftp://host".to_owned();
                s.timeout = Duration::ZERO;
                s.burst = 0;
                s.points_per_series = 11_001;
            },
            &["url", "timeout", "burst", "points_per_series"],
        );
    }

    #[test]
    fn what_is_no_base_of_an_api_is_refused() {
        for url in ["", "prometheus:9090", "host", "http://", "http://h/?x=1", "http://h/#x", "file:///etc"] {
            check(|s| s.url = url.to_owned(), &["url"]);
        }
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_shown() {
        for url in ["http://me:hunter2@host", "http://me:hunter2@host:99999", "ftp://me:hunter2@host"] {
            let mut settings = Settings::for_test(url);
            settings.url = url.to_owned();
            let text = format!("{:?}", settings.mistakes());
            assert!(text.contains("url") && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn the_path_prefix_has_no_slash_at_its_end() {
        for (given, base) in [
            ("http://host:9090", "http://host:9090/"),
            ("http://host/prometheus/", "http://host/prometheus"),
            ("http://host/a/b", "http://host/a/b"),
        ] {
            assert_eq!(Settings::for_test(given).base_url().unwrap().as_str(), base);
        }
    }
}
