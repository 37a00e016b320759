//! Turns events into lines: logfmt or JSON, one an event.

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Filter, Layer as _, SubscriberExt as _};
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::settings::{LEVELS, LogFormat, Settings};

/// What takes events and writes lines.
pub type BoxedSubscriber = Box<dyn Subscriber + Send + Sync>;

/// Our own crates: every target that starts like this, demo-service too.
const OWN_TARGETS: &str = "portent";

/// Makes a subscriber that writes our own events from the level on, and those of libraries from `warn` on: they would
/// drown ours.
///
/// It is not installed: a test hands it to `tracing::subscriber::with_default`.
///
/// # Errors
/// Names a level that is none, and those that are.
pub fn subscriber<W>(settings: &Settings, writer: W) -> Result<BoxedSubscriber, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    Ok(with_filter(settings, filter(&settings.level)?, writer))
}

fn with_filter<W, F>(settings: &Settings, filter: F, writer: W) -> BoxedSubscriber
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    F: Filter<Registry> + Send + Sync + 'static,
{
    match settings.format {
        LogFormat::Logfmt => {
            let lines = tracing_logfmt::builder().with_span_name(false).layer().with_writer(writer);
            Box::new(Registry::default().with(lines.with_filter(filter)))
        }
        LogFormat::Json => {
            let lines = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_writer(writer);
            Box::new(Registry::default().with(lines.with_filter(filter)))
        }
    }
}

/// Sets the level of what is installed. Clones set the same one.
#[derive(Debug, Clone)]
pub struct Level(reload::Handle<EnvFilter, Registry>);

impl Level {
    /// Writes events from this level on, from now on.
    ///
    /// # Errors
    /// Names a level that is none, and those that are.
    pub fn set(&self, level: &str) -> Result<(), LogError> {
        // It fails only where the subscriber is gone, and then nothing is written at any level.
        let _ = self.0.reload(filter(level)?);
        Ok(())
    }
}

/// Installs a subscriber that writes to standard error, for the whole process; once, from the top.
///
/// # Errors
/// A level that is none, or a subscriber that is installed already.
pub fn install(settings: &Settings) -> Result<Level, LogError> {
    let (filter, handle) = reload::Layer::new(filter(&settings.level)?);
    let subscriber = with_filter(settings, filter, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Installed)?;
    Ok(Level(handle))
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    // Only a bare level passes: a directive of the filter's own language would be applied to who knows what.
    let unknown = || LogError::Level { seen: level.chars().take(40).collect() };
    let place = LEVELS.iter().position(|known| *known == level).ok_or_else(unknown)?;
    let libraries = LEVELS.get(place.min(1)).ok_or_else(unknown)?;
    EnvFilter::try_new(format!("{libraries},{OWN_TARGETS}={level}")).map_err(|_| unknown())
}

/// Why the agent cannot log as it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// No such level.
    #[error("log level {seen:?} is none: give {}", LEVELS.join(", "))]
    Level {
        /// What was given.
        seen: String,
    },
    /// Another subscriber takes the process's events.
    #[error("logging is installed already")]
    Installed,
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of one event of ours at each of two levels, and of two of a library.
    fn written(level: &str, format: LogFormat) -> String {
        let (lines, settings) = (Lines::default(), Settings { level: level.to_owned(), format });
        let writer = lines.clone();
        let subscriber = subscriber(&settings, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "portent::engine", count = 3, incident.id = %"abc", "opened incident abc");
            tracing::debug!(target: "portent::engine", "judged a batch");
            tracing::info!(target: "hyper::client", "connected");
            tracing::warn!(target: "hyper::client", "reset");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_logfmt_line_has_level_message_and_fields() {
        let text = written("info", LogFormat::Logfmt);
        let line = text.lines().next().unwrap();
        for part in
            ["level=info", "target=portent::engine", "opened incident abc", "incident.id=abc", "count=3"]
        {
            assert!(line.contains(part), "{part} is missing in {line}");
        }
    }

    #[test]
    fn a_json_line_is_an_object_with_level_message_and_fields() {
        let text = written("info", LogFormat::Json);
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "opened incident abc");
        assert_eq!(line["incident.id"], "abc");
        assert_eq!(line["count"], 3);
    }

    #[test]
    fn the_level_is_for_our_own_events_and_libraries_are_held_to_warn() {
        let shown = |level| {
            let text = written(level, LogFormat::Logfmt);
            ["opened", "judged", "connected", "reset"].map(|word| text.contains(word))
        };
        assert_eq!(shown("error"), [false, false, false, false]);
        assert_eq!(shown("warn"), [false, false, false, true]);
        assert_eq!(shown("info"), [true, false, false, true]);
        assert_eq!(shown("debug"), [true, true, false, true]);
    }

    #[test]
    fn a_level_is_changed_while_it_logs() {
        let (lines, settings) =
            (Lines::default(), Settings { level: "info".to_owned(), format: LogFormat::Json });
        let writer = lines.clone();
        let (switch, handle) = reload::Layer::new(filter("info").unwrap());
        let level = Level(handle);
        let subscriber = with_filter(&settings, switch, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            for (nth, to) in ["debug", "warn", "info"].into_iter().enumerate() {
                tracing::debug!(target: "portent::engine", "line {nth} at debug");
                tracing::info!(target: "portent::engine", "line {nth} at info");
                level.set(to).unwrap();
            }
            assert!(level.set("loud").is_err());
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let shown = |line: &str| text.contains(line);
        assert!(shown("line 0 at info") && !shown("line 0 at debug"), "{text}");
        assert!(shown("line 1 at info") && shown("line 1 at debug"), "{text}");
        assert!(!shown("line 2"), "{text}");
    }

    #[test]
    fn a_bad_level_is_refused_with_the_allowed_ones() {
        for level in ["", "INFO", "loud", "info,hyper=trace", "portent=debug"] {
            let settings = Settings { level: level.to_owned(), format: LogFormat::Json };
            let error = subscriber(&settings, io::sink).map(drop).unwrap_err().to_string();
            assert!(error.contains("give error, warn, info, debug, trace"), "{error}");
        }
    }
}
