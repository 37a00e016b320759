//! Which service calls which.

use std::collections::{BTreeMap, BTreeSet};

use crate::series::Service;

/// Services that are further apart than this have no link: over so many calls nearly everything is linked.
pub const HOPS_MAX: u32 = 3;

/// The calls between services, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallGraph {
    callees: BTreeMap<Service, BTreeSet<Service>>,
}

/// One service that calls another, itself or through others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The one that calls.
    pub from: Service,
    /// The one that is called.
    pub to: Service,
    /// How many calls lie between, on the shortest way: 1 where nobody stands between. At most [`HOPS_MAX`].
    pub hops: u32,
}

impl CallGraph {
    /// Takes pairs of which the first calls the second. A call to oneself says nothing and is left out.
    pub fn new(calls: impl IntoIterator<Item = (Service, Service)>) -> Self {
        let mut callees: BTreeMap<Service, BTreeSet<Service>> = BTreeMap::new();
        for (from, to) in calls.into_iter().filter(|(from, to)| from != to) {
            callees.entry(from).or_default().insert(to);
        }
        Self { callees }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.callees.is_empty()
    }

    /// The calls from these services to each other, in order.
    pub fn among<'a>(&self, services: impl IntoIterator<Item = &'a Service>) -> Vec<Call> {
        if self.is_empty() {
            return Vec::new();
        }
        let services: BTreeSet<&Service> = services.into_iter().collect();
        let mut calls = Vec::new();
        for from in &services {
            let below = self.below(from).into_iter().filter(|(to, _)| services.contains(to));
            let call = |(to, hops): (&Service, u32)| Call { from: (*from).clone(), to: to.clone(), hops };
            calls.extend(below.map(call));
        }
        calls
    }

    /// The services among these that call one, themselves or through others.
    pub fn callers<'a>(
        &self,
        of: &Service,
        among: impl IntoIterator<Item = &'a Service>,
    ) -> Vec<&'a Service> {
        if self.is_empty() {
            return Vec::new();
        }
        among.into_iter().filter(|service| self.below(service).contains_key(of)).collect()
    }

    /// Every service that one calls, itself or through others, with the hops to it.
    fn below<'a>(&'a self, from: &'a Service) -> BTreeMap<&'a Service, u32> {
        let mut below = BTreeMap::new();
        let mut edge = vec![from];
        for hops in 1..=HOPS_MAX {
            let next = edge.iter().filter_map(|service| self.callees.get(*service)).flatten();
            let mut found = Vec::new();
            for service in next {
                if service != from && !below.contains_key(service) {
                    below.insert(service, hops);
                    found.push(service);
                }
            }
            edge = found;
        }
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a>b>c` are two calls.
    fn graph(chains: &str) -> CallGraph {
        let services = |chain: &str| chain.split('>').map(Service::new).collect::<Vec<_>>();
        let calls = chains.split_whitespace().map(services);
        let calls: Vec<_> = calls
            .flat_map(|chain| {
                chain.windows(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect::<Vec<_>>()
            })
            .collect();
        CallGraph::new(calls)
    }

    #[track_caller]
    fn check(chains: &str, among: &str, expected: &str) {
        let services: Vec<Service> = among.split_whitespace().map(Service::new).collect();
        let calls = graph(chains).among(&services);
        let calls = calls.iter().map(|call| format!("{}>{}:{}", call.from, call.to, call.hops));
        assert_eq!(calls.collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn the_shortest_way_counts_and_only_services_asked_about() {
        check("a>b>c a>c>d", "a c d", "a>c:1 a>d:2 c>d:1");
        check("a>b>c", "a c", "a>c:2");
        check("a>b", "b c", "");
    }

    #[test]
    fn what_is_further_than_three_calls_has_no_link() {
        check("a>b>c>d>e", "a d e", "a>d:3 d>e:1");
    }

    #[test]
    fn a_circle_is_told_in_both_directions_and_a_call_to_oneself_is_none() {
        check("a>b>a a>c", "a b c", "a>b:1 a>c:1 b>a:1 b>c:2");
        check("a>a", "a", "");
    }

    #[test]
    fn callers_are_those_from_which_a_service_is_reached() {
        let services: Vec<Service> = ["a", "b", "c", "x"].map(Service::new).into();
        let callers = graph("a>b>c x>a").callers(&Service::new("c"), &services);
        assert_eq!(callers, [&services[0], &services[1], &services[3]]);
    }
}
