//! The names of streams, as the store and the API spell them.

use super::RecordError;
use crate::engine::Stream;

const SYSTEM: &str = "system";
const INCIDENT_PREFIX: &str = "incident:";

/// `system`, or `incident:` and the id.
pub fn stream_name(stream: Stream) -> String {
    match stream {
        Stream::System => SYSTEM.to_owned(),
        Stream::Incident(id) => format!("{INCIDENT_PREFIX}{id}"),
    }
}

/// Reads the name of a stream.
///
/// # Errors
/// Quotes the text where it names none.
pub fn parse_stream(text: &str) -> Result<Stream, RecordError> {
    let error = || RecordError::Stream(text.chars().take(80).collect());
    if text == SYSTEM {
        return Ok(Stream::System);
    }
    let id = text.strip_prefix(INCIDENT_PREFIX).ok_or_else(error)?;
    id.parse().map(Stream::Incident).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Fingerprint, IncidentId};

    #[test]
    fn a_stream_survives_its_own_name() {
        let incident = Stream::Incident(IncidentId::derive(Fingerprint::of(&[b"a"]), 1));
        for stream in [Stream::System, incident] {
            assert_eq!(parse_stream(&stream_name(stream)), Ok(stream));
        }
    }

    #[test]
    fn what_names_no_stream_is_refused() {
        for text in ["", "System", "incident:", "incident:x", "incident", "systemx"] {
            assert!(parse_stream(text).is_err(), "{text}");
        }
    }
}
