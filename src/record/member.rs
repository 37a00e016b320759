//! The wire form of a series' part in an incident.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::gates;
use super::scalar::{finite, hex, millis, service, signal, span};
use super::words::{KindWire, SideWire};
use crate::detect::{Anomaly, Kind, Restart, Side, Trace};
use crate::id::Fingerprint;
use crate::incident::{Ended, Member, MemberState, Trouble};
use crate::series::{Labels, SeriesKey, Service, SignalName};
use crate::time::Timestamp;

/// Reads the name of a series as events hold it; `None` where the text is none.
pub fn decode_series(text: &str) -> Option<Arc<SeriesKey>> {
    key::deserialize(&mut serde_json::Deserializer::from_str(text)).ok()
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Member", deny_unknown_fields)]
pub(super) struct MemberWire {
    #[serde(with = "key", rename = "series")]
    key: Arc<SeriesKey>,
    #[serde(with = "KindWire")]
    kind: Kind,
    #[serde(with = "TroubleWire")]
    trouble: Trouble,
    #[serde(with = "StateWire")]
    state: MemberState,
    #[serde(with = "gates", rename = "gates", default, skip_serializing_if = "Option::is_none")]
    why: Option<Arc<Trace>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Trouble", rename_all = "snake_case", deny_unknown_fields)]
enum TroubleWire {
    Deviation(#[serde(with = "AnomalyWire")] Anomaly),
    Lost {
        #[serde(with = "millis", rename = "last_seen_ms")]
        last_seen: Timestamp,
        #[serde(with = "millis", rename = "detected_at_ms")]
        detected_at: Timestamp,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Anomaly", deny_unknown_fields)]
struct AnomalyWire {
    #[serde(with = "SideWire")]
    side: Side,
    #[serde(with = "millis", rename = "onset_ms")]
    onset: Timestamp,
    #[serde(with = "millis", rename = "detected_at_ms")]
    detected_at: Timestamp,
    #[serde(with = "millis", rename = "until_ms")]
    until: Timestamp,
    #[serde(with = "finite")]
    expected: f64,
    #[serde(with = "finite")]
    lower: f64,
    #[serde(with = "finite")]
    upper: f64,
    #[serde(with = "finite")]
    scale: f64,
    #[serde(with = "finite")]
    peak_value: f64,
    #[serde(with = "finite")]
    peak_score: f64,
    #[serde(with = "finite")]
    confidence: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "MemberState", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum StateWire {
    Active,
    Ended {
        #[serde(with = "millis", rename = "until_ms")]
        until: Timestamp,
        #[serde(with = "EndedWire")]
        because: Ended,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ended", rename_all = "snake_case")]
pub(super) enum EndedWire {
    Recovered,
    Returned,
    Restarted(#[serde(with = "RestartWire")] Restart),
    NotInHistory,
    Forgotten,
    Unwatched,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Restart", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum RestartWire {
    Adopted {
        #[serde(with = "millis", rename = "since_ms")]
        since: Timestamp,
        #[serde(with = "finite")]
        from: f64,
        #[serde(with = "finite")]
        to: f64,
    },
    Gap {
        #[serde(with = "span", rename = "lasted_ms")]
        lasted: Duration,
    },
    Rebased {
        #[serde(with = "finite")]
        from: f64,
        #[serde(with = "finite")]
        to: f64,
    },
}

/// A series on disk is signal, sorted labels and their hash, which is checked where it is read: other events refer to
/// the series by it.
pub(super) mod key {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct KeyWire {
        #[serde(with = "signal")]
        signal: SignalName,
        #[serde(with = "service")]
        service: Service,
        labels: Vec<(String, String)>,
        #[serde(with = "hex")]
        hash: Fingerprint,
    }

    pub(in crate::record) fn serialize<S: Serializer>(key: &SeriesKey, to: S) -> Result<S::Ok, S::Error> {
        let labels = key.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let SeriesKey { signal, service, hash, .. } = key.clone();
        KeyWire { signal, service, labels, hash }.serialize(to)
    }

    pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<SeriesKey>, D::Error> {
        let KeyWire { signal, service, labels, hash } = KeyWire::deserialize(from)?;
        let key = SeriesKey::new(signal, service, Labels::new(labels));
        if key.hash == hash {
            Ok(Arc::new(key))
        } else {
            Err(D::Error::custom(format!("series {key} has hash {}, not {hash}", key.hash)))
        }
    }
}
