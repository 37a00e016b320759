//! The wire form of single values, for serde's `with`: times are whole milliseconds, hashes are hex, names are text,
//! numbers are finite.

/// A time in milliseconds.
pub(super) mod millis {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::time::Timestamp;

    pub(in crate::record) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.as_millis())
    }

    pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_millis)
    }
}

/// A span in milliseconds.
pub(super) mod span {
    use std::time::Duration;

    use serde::ser::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::record) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        let millis = u64::try_from(span.as_millis());
        to.serialize_u64(millis.map_err(|_| S::Error::custom("a span has too many milliseconds"))?)
    }

    pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// A number; JSON has no other than finite ones.
pub(super) mod finite {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::record) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
        if number.is_finite() {
            to.serialize_f64(*number)
        } else {
            Err(serde::ser::Error::custom(format!("{number} is no finite number")))
        }
    }

    pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        f64::deserialize(from)
    }
}

/// A hash or an id, as it prints.
pub(super) mod hex {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::record) fn serialize<T: Display, S: Serializer>(id: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(in crate::record) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// The name of a signal.
pub(super) mod signal {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::series::SignalName;

    pub(in crate::record) fn serialize<S: Serializer>(name: &SignalName, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(name.as_str())
    }

    pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SignalName, D::Error> {
        String::deserialize(from).map(|name| SignalName::new(&name))
    }
}

/// The name of a service.
pub(super) mod service {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::series::Service;

    pub(in crate::record) fn serialize<S: Serializer>(name: &Service, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(name.as_str())
    }

    pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Service, D::Error> {
        String::deserialize(from).map(|name| Service::new(&name))
    }
}

/// A number where there is one: what stands inside an `Option` or a list needs a type of its own.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Finite(#[serde(with = "finite")] pub(super) f64);
