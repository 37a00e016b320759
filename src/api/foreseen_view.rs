//! What a reload would change, as a reader sees it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::runtime::{Fate, Foreseen, SignalForeseen};

/// What a reload would change, were it made now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReloadPreview)]
pub(super) struct ForeseenView {
    /// Whether it would be made; where not, `refused` says why.
    applies: bool,
    /// The SHA-256 of the settings in force, without secrets.
    hash_before: String,
    /// The SHA-256 of those that would be; null where the config can't even be read.
    #[schema(required = true)]
    config_hash: Option<String>,
    /// The signals that would be other ones.
    signals: Vec<SignalView>,
    /// How many signals would stay as they are.
    unchanged_signals: usize,
    /// The other keys that differ.
    settings: Vec<SettingView>,
    /// Everything for which it would be refused, a line each.
    refused: Vec<String>,
}

/// What a reload would do to one signal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReloadPreviewSignal)]
struct SignalView {
    /// The signal.
    signal: String,
    /// `added`, `removed` or `changed`.
    change: &'static str,
    /// What becomes of what its series have learnt: `kept`; `anew` where history is read again; `ended` where nobody
    /// watches it any more.
    state: &'static str,
    /// Why it begins anew; null where it does not.
    #[schema(required = true)]
    because: Option<&'static str>,
    /// Its settings that differ, inherited ones too.
    settings: Vec<SettingView>,
}

/// A setting with another value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReloadPreviewSetting)]
struct SettingView {
    /// The key; of a signal without its table.
    key: String,
    /// The value before; null where there was none, and where it says how something is reached.
    #[schema(required = true)]
    before: Option<String>,
    /// The value after, likewise.
    #[schema(required = true)]
    after: Option<String>,
}

impl From<Foreseen> for ForeseenView {
    fn from(foreseen: Foreseen) -> Self {
        Self {
            applies: foreseen.refused.is_empty(),
            hash_before: foreseen.hash_before,
            config_hash: foreseen.config_hash,
            signals: foreseen.signals.into_iter().map(SignalView::from).collect(),
            unchanged_signals: foreseen.unchanged,
            settings: settings(foreseen.keys),
            refused: foreseen.refused,
        }
    }
}

impl From<SignalForeseen> for SignalView {
    fn from(SignalForeseen { signal, fate, settings: changed }: SignalForeseen) -> Self {
        let (change, state, because) = match fate {
            Fate::Added => ("added", "anew", None),
            Fate::Removed => ("removed", "ended", None),
            Fate::Kept => ("changed", "kept", None),
            Fate::Anew { because } => ("changed", "anew", Some(because)),
        };
        Self { signal: signal.to_string(), change, state, because, settings: settings(changed) }
    }
}

fn settings(changed: Vec<(String, Option<String>, Option<String>)>) -> Vec<SettingView> {
    changed.into_iter().map(|(key, before, after)| SettingView { key, before, after }).collect()
}
