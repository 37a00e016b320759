//! What is shipped beside the binary: the compose file, the image, the systemd unit, the alerts, the dashboards. No
//! container engine is needed: files are held against each other and against the real programs.

pub(crate) mod alerts;
pub(crate) mod compose;
pub(crate) mod dashboards;
pub(crate) mod image;
pub(crate) mod panels;
pub(crate) mod ports;
pub(crate) mod probes;
pub(crate) mod promql;
pub(crate) mod shipped;
pub(crate) mod unit;
