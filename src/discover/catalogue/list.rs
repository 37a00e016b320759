//! All conventions in the order in which they are tried.

use super::super::convention::{Convention, Template, Tier};
use super::{gauges, hosts, http, mesh, runtimes, stores};
use crate::detect::Kind;

/// Every convention: by tier, and within one the more telling first, since a later one that says the same of the same
/// services is not written.
pub fn all() -> impl Iterator<Item = &'static Convention> {
    [gauges::ALL, http::ALL, mesh::ALL, stores::ALL, hosts::ALL, runtimes::ALL].into_iter().flatten()
}

/// Labels that name a service where the metric is an application's own: the most telling first.
pub(super) const APPLICATION: &[&str] =
    &["service", "service_name", "workload", "deployment", "app", "application", "job", "instance"];

/// Where a service is one of many targets of one job.
pub(super) const INSTANCE: &[&str] = &["instance", "node", "job"];

/// What most conventions leave as it is.
pub(super) const BASE: Convention = Convention {
    id: "",
    title: "",
    tier: Tier::Golden,
    needs: &[],
    labels: &[],
    lacks: &[],
    anchor: "",
    matchers: "",
    services: APPLICATION,
    status: &[],
    yields_to: &[],
    signals: &[],
};

/// What most signals leave as it is.
pub(super) const SIGNAL: Template =
    Template { name: "", kind: Kind::Other, needs: &[], query: "", keys: &[], why: "" };

/// Requests a second: a service with little traffic is not judged by a handful of requests.
pub(super) const TRAFFIC: &[(&str, &str)] = &[("min_deviation_absolute", "1.0")];
/// Errors a second: more are news, fewer are not.
pub(super) const ERRORS: &[(&str, &str)] = &[("direction", "\"up\""), ("min_deviation_absolute", "0.1")];
/// A quantile in seconds. Without requests there is none, which is no loss.
pub(super) const SECONDS: &[(&str, &str)] =
    &[("direction", "\"up\""), ("min_deviation_absolute", "0.05"), ("missing", "\"ignore\"")];
/// A quantile in milliseconds.
pub(super) const MILLISECONDS: &[(&str, &str)] =
    &[("direction", "\"up\""), ("min_deviation_absolute", "50.0"), ("missing", "\"ignore\"")];

pub(super) const WHY_LATENCY: &str = "Judged upwards, from 50 ms on; without requests there is no quantile.";
pub(super) const WHY_ERRORS: &str = "No errors are zero errors, as long as there are requests.";
