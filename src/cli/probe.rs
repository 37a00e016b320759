//! `portent check healthy|ready`: asks a running agent, for a container's or an orchestrator's probe that has no curl.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use super::args::ProbeArgs;
use super::certificates::with_certificates;
use crate::time::parse_duration;

/// The bytes of an answer that are read: a probe says a sentence, whatever else stands at the address.
const ANSWER_BYTES_MAX: usize = 4096;
/// The characters of an answer that are repeated.
const SHOWN_MAX: usize = 300;
/// The longest wait; a probe that waits longer is none.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Probe {
    Healthy,
    Ready,
}

impl Probe {
    fn path(self) -> &'static str {
        match self {
            Self::Healthy => "/-/healthy",
            Self::Ready => "/-/ready",
        }
    }
}

/// Asks once and prints what was answered: exit code 0 where the answer is yes, 1 for everything else.
pub(super) async fn probe(probe: Probe, args: ProbeArgs) -> anyhow::Result<ExitCode> {
    let url = format!("{}{}", args.url.trim_end_matches('/'), probe.path());
    match ask(&url, &args).await {
        Ok(said) => {
            writeln!(std::io::stdout(), "{said}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(because) => {
            writeln!(std::io::stderr(), "portent: {url}: {because}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The first line of a good answer, or why there is none.
async fn ask(url: &str, args: &ProbeArgs) -> Result<String, String> {
    let timeout = args.timeout;
    // The agent itself is asked: a proxy or a redirect would answer for somebody else.
    let builder =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(timeout);
    let builder = with_certificates(builder, args.ca_file.as_deref(), args.client_cert_file.as_deref());
    let builder = builder.map_err(|error| format!("{error:#}"))?;
    let client = builder.build().map_err(|error| causes(&error))?;
    let mut answer = client.get(url).send().await.map_err(|error| failure(&error, timeout))?;
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX {
        match answer.chunk().await.map_err(|error| failure(&error, timeout))? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => break,
        }
    }
    let text = String::from_utf8_lossy(&body);
    let said: String =
        text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect();
    match answer.status() {
        reqwest::StatusCode::OK => Ok(said),
        status => Err(format!("answered {status}: {said}")),
    }
}

fn failure(error: &reqwest::Error, timeout: Duration) -> String {
    match error.is_timeout() {
        true => format!("no answer within {timeout:?}; give --timeout a longer time if that is expected"),
        false => causes(error),
    }
}

/// An error with everything below it; reqwest's own text stops at "error sending request".
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut below = std::error::Error::source(error);
    while let Some(cause) = below {
        text = format!("{text}: {cause}");
        below = cause.source();
    }
    text
}

/// Reads `--timeout`.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(span) if !span.is_zero() && span <= TIMEOUT_MAX => Ok(span),
        Ok(_) => Err("give a duration above 0s, 10m at most".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_duration_within_its_bounds() {
        assert_eq!(timeout("3s"), Ok(Duration::from_secs(3)));
        for text in ["0s", "11m", "3", "soon", ""] {
            assert!(timeout(text).is_err(), "{text}");
        }
    }
}
