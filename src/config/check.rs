//! What `portent check config` says about a config that is sound.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::settings::{Config, Signal};
use crate::detect::Detector;
use crate::time::format_duration;

impl Config {
    /// Describes the config for the person who wrote it: each signal with its query and the threshold that remains
    /// after every gate, the files that it reads, and its hash. Ends in a line end; shows no secret.
    pub fn summary(&self) -> String {
        let mut text = format!("source       {}\n", self.source.url);
        let model = match self.llm.enabled {
            true => format!("{} at {}", self.llm.model, self.llm.base_url),
            false => "off: built-in heuristics explain incidents".to_owned(),
        };
        line(&mut text, "model", &model);
        line(&mut text, "api", &self.api_in_short());
        line(&mut text, "store", &self.store.path.display().to_string());
        for (key, path) in self.secret_files() {
            line(&mut text, "secret file", &format!("{} ({key})", path.display()));
        }
        for (key, path) in self.certificate_files() {
            line(&mut text, "certificate", &format!("{} ({key})", path.display()));
        }
        line(&mut text, "hash", &self.hash());
        match self.signals.len() {
            0 => {
                text.push_str("\nno signals: `portent run` needs at least one, `portent replay` needs none\n")
            }
            1 => text.push_str("\n1 signal\n"),
            count => text.push_str(&format!("\n{count} signals\n")),
        }
        self.signals.iter().for_each(|signal| describe(signal, &mut text));
        self.describe_overrides(&mut text);
        text
    }

    /// What is different for some series, and of which signals.
    fn describe_overrides(&self, text: &mut String) {
        let mut by_entry: BTreeMap<u16, (&str, Vec<&str>)> = BTreeMap::new();
        for signal in &self.signals {
            for over in &signal.plan.overrides {
                let (_, signals) = by_entry.entry(over.entry).or_insert((&over.name, Vec::new()));
                signals.push(signal.query.signal.as_str());
            }
        }
        for (entry, (name, signals)) in by_entry {
            let set = self.set_by_override(entry);
            let set: Vec<String> = set.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            let _ = write!(text, "\n  override {name}, of {}\n    {}\n", signals.join(", "), set.join(", "));
        }
    }

    /// Where the API listens, and whom it lets in.
    fn api_in_short(&self) -> String {
        let scheme = if self.api.tls.is_some() { "https" } else { "http" };
        let keys = match (&self.api.keys_file, self.api.allow_without_keys) {
            (Some(_), _) => "with keys",
            (None, true) => "without keys, wherever it is reached from",
            (None, false) => "without keys, from this machine alone",
        };
        format!("{scheme}://{}, {keys}", self.api.listen_address)
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{name:<12} {value}");
}

fn describe(signal: &Signal, text: &mut String) {
    let plan = &signal.plan;
    let _ = write!(
        text,
        "\n  {}: {}, by {}, a sample each {}, polled each {}\n    {}\n    ",
        signal.query.signal,
        plan.kind.as_str(),
        signal.query.service_label,
        format_duration(plan.step),
        format_duration(signal.interval),
        // A query may be written over several lines.
        signal.query.promql.lines().map(str::trim).collect::<Vec<_>>().join(" "),
    );
    let settings = &plan.settings;
    let _ = if settings.is_classic() {
        writeln!(
            text,
            "anomalous beyond {:.2} sigma in {} of {} samples, or in {} beyond {:.2} sigma",
            settings.effective_sigma(0.0),
            settings.open_points,
            settings.open_window,
            settings.strong_points,
            settings.sigma * settings.strong_score,
        )
    } else {
        let expected =
            format!("{} false openings a day expected over all series", settings.false_openings_per_day);
        match settings.combine {
            _ if settings.detector.is_only(Detector::Tail) => {
                writeln!(text, "anomalous beyond the fitted tail, {expected}")
            }
            _ if settings.detector.iter().count() == 1 => {
                writeln!(text, "anomalous by {}, {expected}", settings.detector)
            }
            combine => {
                writeln!(text, "anomalous by {} of {}, {expected}", combine.as_str(), settings.detector)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::super::{DEMO, load_text};

    #[test]
    fn the_summary_shows_queries_thresholds_and_the_hash() {
        let config = load_text("demo.toml", DEMO, [], &[]).unwrap();
        let summary = config.summary();
        for part in [
            "source       http://127.0.0.1:9099\n",
            "5 signals\n",
            "  error_rate: errors, by service, a sample each 15s, polled each 15s\n    demo_error_rate\n",
            "anomalous beyond the fitted tail, 0.1 false openings a day expected over all series\n",
            &config.hash(),
        ] {
            assert!(summary.contains(part), "{part:?} is missing in:\n{summary}");
        }
    }

    #[test]
    fn overrides_are_told_with_what_they_set() {
        let text = "[signal.x]\nquery = \"up\"\n[[override]]\nmatchers = 'a!=\"b\"'\nclear_points = 9\nmissing = \"ignore\"";
        let summary = load_text("t", text, [], &[]).unwrap().summary();
        let expected = "\n  override {a!=\"b\"}, of x\n    clear_points = 9, missing = ignore\n";
        assert!(summary.contains(expected), "{summary}");
    }

    #[test]
    fn a_stricter_gate_shows_in_the_threshold() {
        let text = "[signal.x]\nquery = \"up\"\ndetector = \"classic\"\nmin_confidence = 0.99";
        let summary = load_text("t", text, [], &[]).unwrap().summary();
        assert!(summary.contains("anomalous beyond 5.47 sigma"), "{summary}");
    }
}
