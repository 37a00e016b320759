//! What an incident is about.

use std::fmt;

use crate::series::Service;

/// What an incident is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A service.
    Service(Service),
    /// The source of the samples: the backend, the way to it, or its scrapes.
    Source,
}

impl Subject {
    /// The service, where it is one.
    pub fn service(&self) -> Option<&Service> {
        match self {
            Self::Service(service) => Some(service),
            Self::Source => None,
        }
    }

    /// The word for its kind in API and store.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Service(_) => "service",
            Self::Source => "source",
        }
    }

    /// The word of every kind.
    pub const KINDS: [&'static str; 2] = ["service", "source"];
}

impl fmt::Display for Subject {
    /// A service by its name; the source in words that no one takes for a service's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => service.fmt(f),
            Self::Source => f.write_str("(the source)"),
        }
    }
}

impl From<Service> for Subject {
    fn from(service: Service) -> Self {
        Self::Service(service)
    }
}
