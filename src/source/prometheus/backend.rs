//! The kinds of backend that speak Prometheus' API, and what is different about each.
//!
//! `docs/backends.md` is the same for people.

use std::time::Duration;

use super::identify::BuildInfo;

/// The version of Prometheus that VictoriaMetrics gives itself out for.
const VICTORIA_POSES_AS: &str = "2.24.0";

/// Which program answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BackendKind {
    /// Prometheus itself, and whatever is like it.
    Prometheus,
    /// VictoriaMetrics, single or as a cluster.
    VictoriaMetrics,
    /// A querier of Thanos, or its front end.
    Thanos,
    /// Grafana Mimir.
    Mimir,
}

/// What is known about the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Which program it is.
    pub kind: BackendKind,
    /// Its version, where it tells.
    pub version: Option<String>,
}

impl BackendKind {
    /// Each kind.
    pub const ALL: [Self; 4] = [Self::Prometheus, Self::VictoriaMetrics, Self::Thanos, Self::Mimir];

    /// The word for it in the config, the API and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoriametrics",
            Self::Thanos => "thanos",
            Self::Mimir => "mimir",
        }
    }

    /// How far behind the clock its answers are good: VictoriaMetrics repeats an older value at the steps of its last
    /// 30 s (`-search.latencyOffset`), which would be judged as if it had been measured.
    pub fn delay_least(self) -> Duration {
        match self {
            Self::VictoriaMetrics => Duration::from_secs(30),
            Self::Prometheus | Self::Thanos | Self::Mimir => Duration::ZERO,
        }
    }

    /// What a range query says beside the query, its range and its timeout.
    pub(super) fn parameters(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // Its cache holds what was true before late samples came, and each step is asked for once.
            Self::VictoriaMetrics => &[("nocache", "1")],
            // Replicas are one series; and of stores that fail a warning tells, where otherwise nothing would come.
            Self::Thanos => &[("dedup", "true"), ("partial_response", "true")],
            Self::Prometheus | Self::Mimir => &[],
        }
    }

    /// The warning that says that a part of the answer is missing: any that is no remark about the query. Mimir fails
    /// where a part is missing; VictoriaMetrics has a field for it.
    pub(super) fn partial(self, warnings: &[String]) -> Option<String> {
        match self {
            Self::Prometheus | Self::Thanos => {
                warnings.iter().find(|warning| !warning.starts_with("PromQL ")).cloned()
            }
            Self::VictoriaMetrics | Self::Mimir => None,
        }
    }

    /// Tells the kind by what the backend says about its build and whether it signs its answers as VictoriaMetrics
    /// does, which gives itself out for a Prometheus there.
    pub(super) fn of(build: &BuildInfo, signs_as_victoria: bool) -> Self {
        let application = build.application.to_ascii_lowercase();
        // It tells the version that it gives itself out for and nothing else; Debian's build tells nothing. What signs
        // its answers but tells more is a Prometheus behind one of VictoriaMetrics' proxies.
        let tells_little = build.revision.is_empty() && build.go_version.is_empty() && application.is_empty();
        if application.contains("mimir") {
            Self::Mimir
        } else if tells_little && (signs_as_victoria || build.version == VICTORIA_POSES_AS) {
            Self::VictoriaMetrics
        } else if build.version.starts_with("0.") || build.version.starts_with("v0.") {
            // Prometheus tells its build since 2.14; Thanos has never left 0.
            Self::Thanos
        } else {
            Self::Prometheus
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(data: &str, signs_as_victoria: bool, expected: BackendKind) {
        let build: BuildInfo = serde_json::from_str(data).unwrap();
        assert_eq!(BackendKind::of(&build, signs_as_victoria), expected, "{data}");
    }

    /// The first two are what Debian's Prometheus 2.42 and VictoriaMetrics 1.79 answer; the others are written after
    /// the documentation and the sources of theirs.
    #[test]
    fn each_kind_is_told_by_its_build() {
        let prometheus = r#"{"version":"2.42.0+ds","revision":"2.42.0+ds-5+b5","branch":"debian/sid","buildUser":"x","buildDate":"x","goVersion":"go1.19.8"}"#;
        check(prometheus, false, BackendKind::Prometheus);
        check("{}", true, BackendKind::VictoriaMetrics);
        check("{}", false, BackendKind::Prometheus);
        check(prometheus, true, BackendKind::Prometheus);
        check(r#"{"version":"2.24.0"}"#, false, BackendKind::VictoriaMetrics);
        let thanos = r#"{"version":"0.34.1","revision":"4cf1559998bf6d8db3f9ca0fde2a00d217d4e23e","branch":"HEAD","goVersion":"go1.21.7"}"#;
        check(thanos, false, BackendKind::Thanos);
        let mimir = r#"{"application":"Grafana Mimir","version":"2.11.0","revision":"c8939ea","branch":"HEAD","goVersion":"go1.21.4","features":{}}"#;
        check(mimir, false, BackendKind::Mimir);
    }

    #[track_caller]
    fn check_partial(kind: BackendKind, warnings: &[&str], expected: Option<&str>) {
        let warnings: Vec<String> = warnings.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(kind.partial(&warnings).as_deref(), expected, "{warnings:?}");
    }

    #[test]
    fn a_warning_about_data_is_partial_and_a_remark_about_the_query_is_not() {
        let remark = "PromQL info: metric might not be a counter, name does not end in _total: \"x\"";
        let lost = "No StoreAPIs matched for this query";
        check_partial(BackendKind::Thanos, &[remark, lost], Some(lost));
        check_partial(
            BackendKind::Prometheus,
            &["remote_read: connection refused"],
            Some("remote_read: connection refused"),
        );
        check_partial(BackendKind::Prometheus, &[remark, "PromQL warning: bucket label missing"], None);
        check_partial(BackendKind::Mimir, &[lost], None);
        check_partial(BackendKind::Prometheus, &[], None);
    }
}
