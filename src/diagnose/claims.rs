//! What the heuristics claim, on bundles written in short: `errors^` rose, `cpu=` stayed inside its band, and so on.

use proptest::prelude::*;

use super::bundle::{Bundle, Evidence, EvidenceId, Item, Movement};
use super::citation::cite;
use super::diagnosis::{Cause, Hypothesis};
use super::heuristics::rank;
use super::sample;
use crate::correlate::Call;
use crate::detect::{Anomaly, Kind, Side};
use crate::incident::Trouble;
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

const ONSET_S: i64 = 1_700_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis((ONSET_S + seconds) * 1000)
}

fn movement(sign: char) -> Movement {
    let score = match sign {
        '=' => Some(0.4),
        '~' => Some(1.7),
        _ => None,
    };
    let expected = (sign != '?').then_some(45.2);
    Movement { value: 46.1, expected, score, has_moved: score.map(|score| score > 1.0) }
}

fn anomaly(side: Side, onset: Timestamp) -> Anomaly {
    Anomaly {
        side,
        onset,
        detected_at: onset.plus(std::time::Duration::from_secs(15)),
        until: onset.plus(std::time::Duration::from_secs(30)),
        expected: 0.503,
        lower: 0.4,
        upper: 0.6,
        scale: 0.03,
        peak_value: if side == Side::Up { 9.02 } else { 0.01 },
        peak_score: 20.0,
        confidence: 0.99,
    }
}

/// One word: a kind, a sign, and for what is in trouble the seconds after the first onset. The signs: `^` rose, `v`
/// fell, `x` stopped; `=` inside its band, `~` outside for a moment, `?` still warming up. `db/latency^-30` is of
/// another service.
fn evidence(word: &str) -> (char, Evidence) {
    let (service, word) = word.split_once('/').unwrap_or(("checkout", word));
    let place = word.find(['^', 'v', 'x', '=', '~', '?']).unwrap();
    let (kind_word, rest) = word.split_at(place);
    let sign = rest.chars().next().unwrap();
    let kind = *Kind::ALL.iter().find(|kind| kind.as_str() == kind_word).unwrap();
    let onset = at(rest[1..].parse().unwrap_or(0));
    let service_name = Service::new(service);
    let (signal, series) = (SignalName::new(kind_word), word.to_owned());
    let side = match sign {
        '^' => Some(Side::Up),
        'v' => Some(Side::Down),
        _ => None,
    };
    let trouble = match side {
        Some(side) => Trouble::Deviation(anomaly(side, onset)),
        None => Trouble::Lost { last_seen: onset, detected_at: at(60) },
    };
    match (service, sign) {
        ("checkout", '^' | 'v' | 'x') => {
            let (is_active, points) = (true, Vec::new());
            (
                'a',
                Evidence::Anomaly { service: service_name, signal, series, kind, trouble, is_active, points },
            )
        }
        ("checkout", _) => ('s', Evidence::Sibling { signal, series, kind, movement: movement(sign) }),
        _ => {
            let movement = Movement { score: Some(20.0), ..movement('~') };
            ('o', Evidence::Elsewhere { service: service_name, signal, series, kind, side, onset, movement })
        }
    }
}

fn bundle_of(evidence: impl IntoIterator<Item = (char, Evidence)>) -> Bundle {
    let items = evidence.into_iter().enumerate();
    let items =
        items.map(|(nth, (class, what))| Item { id: EvidenceId::new(class, nth + 1), what }).collect();
    Bundle { onset: at(0), at: at(60), items, ..sample::bundle() }
}

/// Words of evidence, and of calls: `checkout>db` calls it, `checkout>>db` does so through one other.
fn bundle(words: &str) -> Bundle {
    let (calls, words): (Vec<&str>, Vec<&str>) =
        words.split_whitespace().partition(|word| word.contains('>'));
    let call = |word: &str| Call {
        from: Service::new(word.split('>').next().unwrap()),
        to: Service::new(word.rsplit('>').next().unwrap()),
        hops: word.matches('>').count() as u32,
    };
    Bundle { calls: calls.into_iter().map(call).collect(), ..bundle_of(words.into_iter().map(evidence)) }
}

/// The services of the hypotheses, in their order, each once.
fn services(words: &str) -> Vec<String> {
    let mut services = Vec::new();
    for service in rank(&bundle(words)).into_iter().filter_map(|hypothesis| hypothesis.service) {
        let service = service.to_string();
        if !services.contains(&service) {
            services.push(service);
        }
    }
    services
}

fn bits(hypothesis: &Hypothesis, term: &str) -> Option<f64> {
    hypothesis.contributions.iter().find(|contribution| contribution.term == term).map(|term| term.bits)
}

fn place(ranked: &[Hypothesis], cause: Cause) -> usize {
    ranked.iter().position(|hypothesis| hypothesis.cause == cause).unwrap_or(usize::MAX)
}

/// The first causes, in their order.
#[track_caller]
fn check(words: &str, causes: &[Cause]) {
    let ranked = rank(&bundle(words));
    let found: Vec<Cause> = ranked.iter().map(|hypothesis| hypothesis.cause).take(causes.len()).collect();
    assert_eq!(found, causes, "{ranked:#?}");
}

#[test]
fn errors_alone_are_the_service_itself() {
    check("errors^ traffic= latency= cpu= memory=", &[Cause::Failure]);
}

#[test]
fn latency_alone_is_waiting() {
    check("latency^ traffic= errors= cpu= memory=", &[Cause::Dependency]);
}

#[test]
fn processor_time_alone_is_work_that_the_load_does_not_explain() {
    check("cpu^ traffic= errors= latency= memory=", &[Cause::Compute]);
}

#[test]
fn memory_alone_is_memory() {
    check("memory^ traffic= errors= latency= cpu=", &[Cause::Memory]);
}

#[test]
fn traffic_alone_is_demand() {
    check("traffic^ errors= latency= cpu= memory=", &[Cause::Traffic]);
    check("trafficv errors= latency= cpu= memory=", &[Cause::Traffic]);
}

#[test]
fn load_that_slows_answers_is_no_waiting() {
    for words in
        ["traffic^ cpu^15 latency^30 errors=", "latency^ cpu^ traffic^", "traffic^ cpu^ latency^ memory="]
    {
        let ranked = rank(&bundle(words));
        let dependency = place(&ranked, Cause::Dependency);
        assert!(place(&ranked, Cause::Saturation) < dependency, "{words}: {ranked:#?}");
        assert!(place(&ranked, Cause::Traffic) < dependency, "{words}: {ranked:#?}");
    }
}

#[test]
fn errors_with_slow_answers_are_a_dependency() {
    check("latency^ errors^15 traffic= cpu= memory=", &[Cause::Dependency, Cause::Failure]);
    check("latency^ errors^ traffic= cpu=", &[Cause::Dependency]);
}

#[test]
fn what_has_stopped_is_gone() {
    check("trafficx errorsx latencyx cpux memoryx", &[Cause::Gone]);
    check("cpux traffic= errors=", &[Cause::Gone]);
}

#[test]
fn a_signal_that_has_stopped_is_not_one_that_has_fallen() {
    for words in ["cpu^ trafficx", "cpu^ traffic?", "cpu^ traffic~", "cpu^"] {
        let ranked = rank(&bundle(words));
        let terms: Vec<_> = ranked.iter().flat_map(|hypothesis| &hypothesis.contributions).collect();
        assert!(terms.iter().all(|term| term.term != "traffic" || words.contains('x')), "{words}: {terms:?}");
        let compute = &ranked[place(&ranked, Cause::Compute)];
        assert!(compute.contributions.iter().all(|term| term.term != "traffic"), "{words}");
    }
}

#[test]
fn one_series_that_moved_makes_its_signal_unsteady() {
    let compute = |words: &str| rank(&bundle(words))[0].contributions.len();
    assert!(compute("cpu^ traffic= traffic~") < compute("cpu^ traffic= traffic="));
}

#[test]
fn trouble_elsewhere_shortly_before_is_named_and_counts_as_unlinked() {
    let ranked = rank(&bundle("latency^ cpu= traffic= db/latency^-30"));
    let other = ranked.iter().find(|hypothesis| hypothesis.service == Some(Service::new("db"))).unwrap();
    assert_eq!(other.title, "db was in trouble 30s earlier: its latency rose out of its band");
    assert!(
        ranked[0].service == Some(Service::new("checkout")),
        "a mere coincidence ranks after the shape itself: {ranked:#?}"
    );
    for words in ["latency^ db/latency^", "latency^ db/latency^30", "latency^ db/latency^-3600"] {
        assert!(
            rank(&bundle(words)).iter().all(|hypothesis| hypothesis.service != Some(Service::new("db"))),
            "{words}"
        );
    }
}

#[test]
fn of_a_chain_in_trouble_the_deepest_service_comes_first() {
    let chain = "checkout>cache cache>db checkout>>db";
    let trouble = "latency^ cache/latency^ db/latency^";
    assert_eq!(services(&format!("{trouble} {chain}")), ["db", "cache", "checkout"]);
    assert_eq!(services(trouble), ["checkout"], "without calls nothing at the same time is a candidate");
}

#[test]
fn a_callee_in_trouble_as_early_makes_its_caller_a_symptom() {
    for (onset, is_symptom) in [("-900", true), ("-901", false), ("0", true), ("300", true), ("301", false)] {
        let ranked = rank(&bundle(&format!("latency^ db/latency^{onset} checkout>db")));
        let (own, other): (Vec<_>, Vec<_>) =
            ranked.iter().partition(|hypothesis| hypothesis.service == Some(Service::new("checkout")));
        let expected = is_symptom.then_some(-2.0);
        assert!(own.iter().all(|hypothesis| bits(hypothesis, "callee") == expected), "{onset}: {own:#?}");
        assert_eq!(
            other.first().and_then(|hypothesis| bits(hypothesis, "called")),
            is_symptom.then_some(1.0)
        );
    }
}

#[test]
fn a_caller_in_trouble_is_no_cause_but_a_consequence() {
    let ranked = rank(&bundle("latency^ web/latency^-60 web>checkout"));
    assert_eq!(ranked[0].service, Some(Service::new("checkout")), "{ranked:#?}");
    let web = ranked.iter().find(|hypothesis| hypothesis.service == Some(Service::new("web"))).unwrap();
    assert_eq!((bits(web, "callee"), bits(web, "unlinked")), (Some(-2.0), None));
    assert!(web.text.contains("web calls checkout and not the other way"), "{}", web.text);
}

#[test]
fn services_that_call_each_other_are_told_apart_by_time_alone() {
    let ranked = rank(&bundle("latency^ db/latency^-60 checkout>db db>checkout"));
    let terms = ranked.iter().flat_map(|hypothesis| &hypothesis.contributions);
    assert!(terms.clone().all(|term| !["called", "callee", "unlinked"].contains(&term.term.as_ref())));
    assert!(terms.clone().any(|term| term.term == "earlier"));
}

#[test]
fn a_link_is_told_in_words() {
    let ranked = rank(&bundle("latency^ db/latency^15 checkout>>db"));
    assert_eq!(ranked[0].title, "db was in trouble 15s later: its latency rose out of its band");
    assert_eq!(
        ranked[0].text,
        "latency of db rose out of its band at 2023-11-14T22:13:35Z, 15s later than the trouble of checkout began. \
         checkout calls db through others (2 calls apart), and whoever waits for a service in trouble is in trouble too: \
         look there first."
    );
    assert!(
        ranked[1].text.contains(
            "checkout calls db, which is in trouble since 2023-11-14T22:13:35Z: this may be a consequence."
        ),
        "{}",
        ranked[1].text
    );
}

#[test]
fn what_stopped_elsewhere_has_stopped_and_not_risen() {
    let ranked = rank(&bundle("errors^ db/trafficx-90"));
    let other = ranked.iter().find(|hypothesis| hypothesis.service == Some(Service::new("db"))).unwrap();
    assert_eq!(other.title, "db was in trouble 1m30s earlier: its traffic stopped");
    assert!(!other.text.contains("band"), "{}", other.text);
}

#[test]
fn nothing_known_supports_nothing() {
    check("", &[]);
    assert_eq!(rank(&bundle("traffic= cpu~ memory?")), []);
}

/// The sentences as a person on call reads them.
#[test]
fn a_hypothesis_tells_what_moved_by_how_much_and_what_did_not() {
    let ranked = rank(&bundle("errors^ latency^30 traffic= cpu~ memory?"));
    let failure = &ranked[place(&ranked, Cause::Failure)];
    assert_eq!(failure.title, "The service itself fails: errors rose to 9.02 from 0.503 (18x)");
    assert_eq!(
        failure.text,
        "errors left its band at 2023-11-14T22:13:20Z and was still outside 30s later. It moved first. In trouble \
         too: latency rose to 9.02 from 0.503 (18x), 30s later. Inside their bands: traffic (46.1, usually 45.2). \
         Outside for a moment, but no anomaly: cpu. Not comparable at the moment: memory. For it: traffic as usual. \
         Against it: latency up. The usual reasons are a deployment, a configuration change, an expired credential, \
         or a defect that new input has reached. Look at what changed just before the onset, then at the error text."
    );
}

#[test]
fn a_lost_series_is_never_said_to_be_outside_its_band() {
    let ranked = rank(&bundle("cpux-300"));
    assert_eq!(
        ranked[0].title,
        "The service, or what measures it, is gone: cpu stopped at 2023-11-14T22:08:20Z"
    );
    assert!(
        ranked[0].text.starts_with(
            "cpu has no samples since 2023-11-14T22:08:20Z, 6m ago. No other signal of the service is in trouble. \
             The query is answered"
        ),
        "{}",
        ranked[0].text
    );
}

#[test]
fn what_has_ended_is_told_in_the_past() {
    let mut over = bundle("errors^ cpux");
    for item in &mut over.items {
        if let Evidence::Anomaly { is_active, .. } = &mut item.what {
            *is_active = false;
        }
    }
    let texts: Vec<String> = rank(&over).into_iter().map(|hypothesis| hypothesis.text).collect();
    assert!(texts[0].starts_with("errors was outside its band for 30s from"), "{texts:#?}");
    assert!(
        texts.iter().any(|text| text.starts_with("cpu had no samples for at least 1m from")),
        "{texts:#?}"
    );
}

// ---- Whatever the bundle ----------------------------------------------------------------------------------

fn words() -> impl Strategy<Value = String> {
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    let kind = proptest::sample::select(kinds);
    let word = (
        proptest::sample::select(vec!["", "db/", "cache/"]),
        kind,
        proptest::sample::select(vec!['^', 'v', 'x', '=', '~', '?']),
        -2000..100_i64,
    )
        .prop_map(|(service, kind, sign, onset)| format!("{service}{kind}{sign}{onset}"));
    let call = proptest::sample::select(vec![
        "checkout>db",
        "db>checkout",
        "db>cache",
        "cache>>db",
        "checkout>>>cache",
        "cache>checkout",
    ]);
    let word = prop_oneof![4 => word, 1 => call.prop_map(str::to_owned)];
    proptest::collection::vec(word, 0..30).prop_map(|words| words.join(" "))
}

/// Other names and figures for the same evidence.
fn disguise(bundle: &mut Bundle, alias: &str, figure: f64) {
    let signal_name = SignalName::new(alias);
    let own = Service::new(alias);
    bundle.subject = own.clone().into();
    for item in &mut bundle.items {
        match &mut item.what {
            Evidence::Anomaly { service, signal, series, trouble, .. } => {
                *series = alias.to_owned();
                (*service, *signal) = (own.clone(), signal_name.clone());
                if let Trouble::Deviation(anomaly) = trouble {
                    (anomaly.peak_value, anomaly.peak_score) = (figure, figure.abs().min(1e9));
                }
            }
            Evidence::Sibling { signal, movement, .. } => {
                *signal = signal_name.clone();
                movement.value = figure;
            }
            Evidence::Elsewhere { signal, movement, .. } => {
                *signal = signal_name.clone();
                movement.expected = Some(figure);
            }
            Evidence::Source(_) | Evidence::Past { .. } => {}
        }
    }
}

fn hold(bundle: &Bundle) -> Result<(), TestCaseError> {
    let ranked = rank(bundle);
    prop_assert_eq!(&ranked, &rank(bundle), "not deterministic");
    prop_assert!(ranked.is_sorted_by(|a, b| a.score >= b.score));
    for hypothesis in &ranked {
        let sum: f64 = hypothesis.contributions.iter().map(|term| term.bits).sum();
        prop_assert_eq!(hypothesis.score, Some(sum));
        prop_assert!(sum.is_finite());
        prop_assert!(!hypothesis.evidence.is_empty());
        for cited in &hypothesis.evidence {
            prop_assert!(bundle.items.iter().any(|item| item.id == *cited), "{} is not in the bundle", cited);
        }
        for text in [&hypothesis.title, &hypothesis.text] {
            prop_assert!(!text.chars().any(char::is_control), "{:?}", text);
            prop_assert!(!text.contains("  ") && text.chars().count() < 2000, "{:?}", text);
        }
    }
    for citation in cite(bundle, &ranked) {
        prop_assert!(!citation.says.chars().any(char::is_control), "{:?}", citation.says);
        prop_assert!(citation.says.chars().count() < 600, "{:?}", citation.says);
    }
    let mut named: Vec<_> = ranked.iter().map(|hypothesis| (hypothesis.cause, &hypothesis.service)).collect();
    named.sort();
    named.dedup();
    prop_assert_eq!(named.len(), ranked.len(), "a cause is named twice");
    Ok(())
}

proptest! {
    #[test]
    fn scores_are_sums_and_evidence_is_in_the_bundle(words in words()) {
        hold(&bundle(&words))?;
    }

    #[test]
    fn hostile_names_and_figures_break_no_sentence(
        words in words(),
        alias in prop_oneof!["\\PC{0,300}", "[\u{0}-\u{1f}{}<>%\"\\\\]{0,40}", "[a{}]{300}"],
        figure in prop_oneof![-1e150..1e150_f64, Just(0.0), Just(-0.0), Just(1e-300)],
    ) {
        let mut bundle = bundle(&words);
        disguise(&mut bundle, &alias, figure);
        hold(&bundle)?;
    }
}
