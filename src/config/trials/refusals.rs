//! What is refused, and with which words. Each text is a config on its own; each line of the answer is a mistake.

use super::super::load_text;

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let report = load_text("t", text, [], &[]).map(drop).unwrap_err().to_string();
    assert_eq!(report.lines().collect::<Vec<_>>(), expected, "for:\n{text}");
}

/// `line` is the third line of a signal that is sound without it; `expected` is what is said about it.
#[track_caller]
fn check_signal(line: &str, expected: &str) {
    check(&format!("[signal.x]\nquery = 'up'\n{line}"), &[&format!("t:3: signal.x.{expected}")]);
}

#[test]
fn what_is_no_toml_is_refused_where_it_stands() {
    check("sigma", &["t:1:6: is no TOML: key with no value, expected `=`"]);
    check("[source", &["t:1:8: is no TOML: unclosed table, expected `]`"]);
    check("a = 1\na = 2", &["t:2:1: the key \"a\" stands here for the second time: keep one of them"]);
    check(
        "[log]\nlevel = 'info'\n[api]\n[log]\nformat = 'json'",
        &["t:4:2: the key \"log\" stands here for the second time: keep one of them"],
    );
    check(
        "[log]\nlevel = info",
        &["t:2:9: the value is no number, nor true or false: put a text in quotes, such as \"30s\""],
    );
    check(
        "[source]\ntimeout = 30s",
        &["t:2:11: the value is no number, nor true or false: put a text in quotes, such as \"30s\""],
    );
    check(
        "[store]\npath = /var/lib/portent.db",
        &["t:2:8: the value is no number, nor true or false: put a text in quotes, such as \"30s\""],
    );
    check(
        "[source]\nurl = http://h",
        &["t:2:7: the value is no number, nor true or false: put a text in quotes, such as \"30s\""],
    );
    check(
        "[log]\nlevel = 'info\n[api]\nroute_prefix = /x",
        &[
            "t:2:14: is no TOML: invalid literal string, expected `'`",
            "t:4:16: the value is no number, nor true or false: put a text in quotes, such as \"30s\"",
        ],
    );
}

#[test]
fn an_unknown_key_is_refused_and_the_likely_one_is_named() {
    check("[signals]", &["t:1: signals: is no key here: did you mean `signal`?"]);
    check("[colour]\nx = 1", &["t:1: colour: is no section: see docs/configuration.md"]);
    check("[source]\nurll = 'http://h'", &["t:2: source.urll: is no key here: did you mean `url`?"]);
    check(
        "[signal_defaults]\nintervall = '1m'",
        &["t:2: signal_defaults.intervall: is no key here: did you mean `interval`?"],
    );
    check(
        "[signal_defaults]\nquery = 'up'",
        &["t:2: signal_defaults.query: is no key of [signal_defaults]: see docs/configuration.md"],
    );
    check(
        "[source.http.basic_auth]\npasword = 'x'",
        &["t:2: source.http.basic_auth.pasword: is no key here: did you mean `password`?"],
    );
    check(
        "[signal.x]\nquery='up'\nopen_point = 2",
        &["t:3: signal.x.open_point: is no key here: did you mean `open_points`?"],
    );
}

#[test]
fn a_value_of_the_wrong_kind_is_refused() {
    check("[source]\nurl = 5", &["t:2: source.url: 5 is no text: put it in quotes"]);
    check(
        "source = 5",
        &["t:1: source: must be a table: give its keys, such as [source] with a line for each"],
    );
    check(
        "[signal]\nx = 'up'",
        &["t:2: signal.x: must be a table: give its keys, such as [signal.x] with a line for each"],
    );
    check(
        "[llm]\nenabled = 'yes'",
        &["t:2: llm.enabled: \"yes\" is neither true nor false: give one of them"],
    );
    check(
        "[signal_defaults]\nsigma = '3'",
        &["t:2: signal_defaults.sigma: \"3\" is no number: give a number from 1 to 10"],
    );
    check(
        "[signal_defaults]\nclear_points = 1.5",
        &["t:2: signal_defaults.clear_points: 1.5 is no whole number: give a whole number from 1 to 1000"],
    );
    check(
        "[signal_defaults]\nstep = 15",
        &["t:2: signal_defaults.step: 15 has no unit: give 1s to 1h, in quotes"],
    );
    check(
        "[source]\ntimeout = 'soon'",
        &["t:2: source.timeout: \"soon\" is no duration, such as 30s or 1h30m: give 10ms to 10m"],
    );
    check(
        "[source.http]\nheaders = 'X: y'",
        &[
            "t:2: source.http.headers: must be a table: give its keys, such as [source.http.headers] with a line for each",
        ],
    );
    check(
        "[source.http.headers]\nX-A = 1",
        &["t:2: source.http.headers.X-A: is neither a text nor a file: give \"...\" or { file = \"...\" }"],
    );
    check(
        "[signal_defaults]\nadopt_after = 1979-05-27",
        &["t:2: signal_defaults.adopt_after: 1979-05-27 has no unit: give 1m to 30d, in quotes"],
    );
}

#[test]
fn a_signal_needs_a_name_and_a_query_that_gives_a_vector() {
    check(
        "[signal.x]",
        &["t:1: signal.x.query: is missing: give a PromQL expression that returns a series for each service"],
    );
    check(
        "[signal.x]\nquery = ''",
        &[
            "t:2: signal.x.query: is empty: give a PromQL expression, such as sum by (service) (rate(errors_total[5m]))",
        ],
    );
    check(
        "[signal.x]\nquery = 'sum(rate(x[5m])'",
        &["t:2: signal.x.query: is not PromQL: unclosed left parenthesis (( is not closed)"],
    );
    check(
        "[signal.x]\nquery = 'up[5m]'",
        &[
            "t:2: signal.x.query: is a range vector, of which no point can be taken: wrap it in a function, such as rate(...)",
        ],
    );
    check(
        "[signal.x]\nquery = '1 + 1'",
        &[
            "t:2: signal.x.query: is a scalar, which has no labels and so no service: ask for a metric, or wrap it in vector(...)",
        ],
    );
    check(
        "[signal.Error-Rate]\nquery = 'up'",
        &[
            "t:1: signal.Error-Rate: is no name for a signal: give a letter, then letters, digits and underscores, all small, at most 64",
        ],
    );
}

#[test]
fn detection_refuses_what_it_cannot_judge_by() {
    check_signal("sigma = 0.5", "sigma: 0.5 is out of range: give a number from 1 to 10");
    check_signal("sigma = 42", "sigma: 42 is out of range: give a number from 1 to 10");
    check_signal("sigma = nan", "sigma: NaN is out of range: give a number from 1 to 10");
    check_signal(
        "baseline_points = 7",
        "baseline_points: 7 is out of range: give a whole number from 8 to 240",
    );
    check_signal(
        "baseline_points = 241",
        "baseline_points: 241 is out of range: give a whole number from 8 to 240",
    );
    check_signal(
        "scale_floor_absolute = -1",
        "scale_floor_absolute: -1 is out of range: give a number from 0 on",
    );
    check_signal(
        "scale_floor_relative = 1.5",
        "scale_floor_relative: 1.5 is out of range: give a number from 0 to 1",
    );
    check_signal(
        "timezone = 'Europe/Berln'",
        "timezone: \"Europe/Berln\" is no time zone: did you mean \"Europe/Berlin\"?",
    );
    check_signal("timezone = 1", "timezone: 1 is no text: put it in quotes");
    check_signal(
        "direction = 'sideways'",
        "direction: \"sideways\" is not allowed: give \"both\", \"up\" or \"down\"",
    );
    check_signal(
        "min_deviation_absolute = -0.1",
        "min_deviation_absolute: -0.1 is out of range: give a number from 0 on",
    );
    check_signal(
        "open_points = 4",
        "open_points: open_points = 4 is above open_window = 1: lower the one or raise the other",
    );
    let names = "\"tail\", \"classic\", \"ewma\", \"rolling_z\", \"robust_z\", \"seasonal\", \"level\", \"range\" or \"flatline\"";
    check_signal("detector = 'oracle'", &format!("detector: \"oracle\" is not allowed: give {names}"));
    check_signal("detector = []", &format!("detector: has no entry: give at least one of {names}"));
    check_signal("detector = ['tail', 'tail']", "detector: \"tail\" stands twice: give each once");
    check_signal("combine = 'most'", "combine: \"most\" is not allowed: give \"any\" or \"all\"");
    check_signal(
        "false_openings_per_day = 0",
        "false_openings_per_day: 0 is out of range: give a number from 0.000001 to 1000000",
    );
    check_signal("exit_score = 1.5", "exit_score: 1.5 is out of range: give a number from 0.1 to 1");
    check_signal("open_window = 33", "open_window: 33 is out of range: give a whole number from 1 to 32");
    check_signal(
        "strong_points = 4",
        "strong_points: strong_points = 4 is above open_points = 1: lower the one or raise the other",
    );
    check_signal("strong_score = 0.9", "strong_score: 0.9 is out of range: give a number from 1 to 1000");
    check_signal("clear_points = 0", "clear_points: 0 is out of range: give a whole number from 1 to 1000");
    check_signal(
        "min_confidence = 1.0",
        "min_confidence: 1.0 is out of range: give a number from 0 to below 1",
    );
    check_signal(
        "min_confidence = 1.5",
        "min_confidence: 1.5 is out of range: give a number from 0 to below 1",
    );
    check_signal("adopt_after = '1s'", "adopt_after: \"1s\" is out of range: give 1m to 30d");
    check_signal("missing = 'zero'", "missing: \"zero\" is not allowed: give \"alert\" or \"ignore\"");
}

#[test]
fn polling_refuses_what_it_cannot_do() {
    check_signal("lost_after = '0s'", "lost_after: \"0s\" is out of range: give 1s to 1w");
    check_signal("step = '500ms'", "step: \"500ms\" is out of range: give 1s to 1h");
    check_signal("step = '1s500ms'", "step: \"1s500ms\" has a part of a second: give whole seconds");
    check_signal(
        "interval = '5s'",
        "interval: an interval of 5s is shorter than the step of 15s: poll no more often than there are samples",
    );
    check_signal(
        "step = '2m'",
        "step: an interval of 1m is shorter than the step of 2m: poll no more often than there are samples",
    );
    check_signal("interval = '2d'", "interval: \"2d\" is out of range: give 1s to 1d");
    check_signal(
        "kind = 'disk'",
        "kind: \"disk\" is not allowed: give \"auto\", \"traffic\", \"errors\", \"latency\", \"cpu\", \"memory\" or \"other\"",
    );
    check_signal(
        "service_label = 'a b'",
        "service_label: \"a b\" is no label name: give one such as service, or several such as namespace/service",
    );
    check_signal(
        "service_label = ['a', 1]",
        "service_label: has an item that is no text: give a list of label names",
    );
    check_signal(
        "service_label = []",
        "service_label: \"\" is no label name: give one such as service, or several such as namespace/service",
    );
    check_signal(
        "tracked_series = 0",
        "tracked_series: 0 is out of range: give a whole number from 1 to 1000000",
    );
}

#[test]
fn what_cannot_reach_a_backend_is_refused() {
    check(
        "[source]\nurl = 'prometheus:9090'",
        &[
            "t:2: source.url: \"prometheus:9090\" is neither http nor https: give something like http://prometheus:9090 or https://host/prometheus",
        ],
    );
    check(
        "[source]\nurl = 'http://me:pw@h'",
        &[
            "t:2: source.url: holds a user or a password: put them under source.http.basic_auth, the password in a file",
        ],
    );
    check(
        "[source]\nurl = ''",
        &[
            "t:2: source.url: is no URL (relative URL without a base): give something like http://prometheus:9090 or https://host/prometheus",
        ],
    );
    check("[source]\ntimeout = '1ms'", &["t:2: source.timeout: \"1ms\" is out of range: give 10ms to 10m"]);
    check(
        "[source]\nquery_delay = '2d'",
        &["t:2: source.query_delay: \"2d\" is out of range: give 0s to 1d"],
    );
    check(
        "[source]\nrequests_per_second = 0",
        &["t:2: source.requests_per_second: 0 is out of range: give a whole number from 1 to 10000"],
    );
    check(
        "[source]\nretries = 11",
        &["t:2: source.retries: 11 is out of range: give a whole number from 0 to 10"],
    );
    check(
        "[source]\npoints_per_series = 11_001",
        &["t:2: source.points_per_series: 11001 is out of range: give a whole number from 1 to 11000"],
    );
    check(
        "[source]\nseries_limit = 99999999999999999999999999999999999999999999",
        &[
            "t:2: source.series_limit: a number without end is out of range: give a whole number from 1 to 1000000",
        ],
    );
}

#[test]
fn incidents_and_models_refuse_what_makes_no_sense() {
    check("[correlate]\nwindow = '0s'", &["t:2: correlate.window: \"0s\" is out of range: give 1s to 1d"]);
    check(
        "[incident]\nresolve_after = '2d'",
        &["t:2: incident.resolve_after: \"2d\" is out of range: give 1s to 1d"],
    );
    check(
        "[incident]\ndefault_criticality = 'urgent'",
        &[
            "t:2: incident.default_criticality: \"urgent\" is not allowed: give \"critical\", \"high\", \"normal\" or \"low\"",
        ],
    );
    check(
        "[incident.criticality]\nshop = 'vital'",
        &[
            "t:2: incident.criticality.shop: \"vital\" is not allowed: give \"critical\", \"high\", \"normal\" or \"low\"",
        ],
    );
    check(
        "[incident.criticality]\n'my shop' = 3",
        &[
            "t:2: incident.criticality.\"my shop\": 3 is not allowed: give \"critical\", \"high\", \"normal\" or \"low\"",
        ],
    );
    check("[llm]\nenabled = true", &["t:2: llm.enabled: a model is asked but none is named: give llm.model"]);
    check(
        "[llm]\ntemperature = 2.1",
        &["t:2: llm.temperature: 2.1 is out of range: give a number from 0 to 2"],
    );
    check(
        "[llm]\nbase_url = 'ftp://h'",
        &["t:2: llm.base_url: is neither http nor https: give something like https://host/path"],
    );
    check(
        "[llm]\nbase_url = 'localhost'",
        &[
            "t:2: llm.base_url: is no URL (relative URL without a base): give something like https://host/path",
        ],
    );
    check(
        "[llm]\nbase_url = 'http://h/?k=v'",
        &["t:2: llm.base_url: has a part after its path: give something like https://host/path"],
    );
    check(
        "[llm]\nmax_output_tokens = 63",
        &["t:2: llm.max_output_tokens: 63 is out of range: give a whole number from 64 to 100000"],
    );
    check(
        "[llm]\nquestions_per_incident = 0",
        &["t:2: llm.questions_per_incident: 0 is out of range: give a whole number from 1 to 100"],
    );
    check("[llm]\ncache_for = '31d'", &["t:2: llm.cache_for: \"31d\" is out of range: give 0s to 30d"]);
    check(
        "[llm]\napi_key = 'a'\napi_key_file = 'b'",
        &["t:3: llm.api_key_file: stands beside `api_key`: keep one of them"],
    );
}

#[test]
fn what_cannot_be_written_listened_to_or_waited_for_is_refused() {
    check("[store]\npath = ''", &["t:2: store.path: is empty: give a file, such as portent.db"]);
    check(
        "[api]\nlisten_address = 'localhost:9098'",
        &[
            "t:2: api.listen_address: \"localhost:9098\" is no address to listen on: give a number address and a port, such as 127.0.0.1:9098 or [::1]:9098",
        ],
    );
    check(
        "[api]\nlisten_address = '127.0.0.1'",
        &[
            "t:2: api.listen_address: \"127.0.0.1\" is no address to listen on: give a number address and a port, such as 127.0.0.1:9098 or [::1]:9098",
        ],
    );
    check(
        "[api]\nexternal_url = 'portent'",
        &[
            "t:2: api.external_url: is no URL (relative URL without a base): give something like https://host/path",
        ],
    );
    check(
        "[api]\nroute_prefix = 'portent'",
        &[
            "t:2: api.route_prefix: \"portent\" is no path: give one that starts with a slash, such as /portent",
        ],
    );
    check(
        "[api]\nroute_prefix = '/a//b'",
        &[
            "t:2: api.route_prefix: \"/a//b\" has an empty or a dotted part: give a path such as /tools/portent",
        ],
    );
    check(
        "[api]\nroute_prefix = '/../x'",
        &[
            "t:2: api.route_prefix: \"/../x\" has an empty or a dotted part: give a path such as /tools/portent",
        ],
    );
    check(
        "[log]\nlevel = 'loud'",
        &[
            "t:2: log.level: \"loud\" is not allowed: give \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        ],
    );
    check("[log]\nformat = 'xml'", &["t:2: log.format: \"xml\" is not allowed: give \"logfmt\" or \"json\""]);
    check("[runtime]\nhistory = '1s'", &["t:2: runtime.history: \"1s\" is out of range: give 1m to 30d"]);
    check(
        "[runtime]\nqueue_limit = 65537",
        &["t:2: runtime.queue_limit: 65537 is out of range: give a whole number from 1 to 65536"],
    );
    check(
        "[runtime]\nfirst_look = '-5m'",
        &["t:2: runtime.first_look: \"-5m\" is no duration, such as 30s or 1h30m: give 0s to 1d"],
    );
}

#[test]
fn all_mistakes_come_at_once_in_the_order_of_their_places() {
    check(
        "[source]\nurl = 'h'\nretries = -1\n[signal_defaults]\nsigma = 0\nopen_points = 9\n[signal.a]\nquery = 'up'\n[signal.b]\nsigma = 11\nqueri = 'up'\n[log]\nlevel = 1",
        &[
            "t:2: source.url: is no URL (relative URL without a base): give something like http://prometheus:9090 or https://host/prometheus",
            "t:3: source.retries: -1 is out of range: give a whole number from 0 to 10",
            "t:5: signal_defaults.sigma: 0 is out of range: give a number from 1 to 10",
            "t:6: signal_defaults.open_points: open_points = 9 is above open_window = 1: lower the one or raise the other",
            "t:9: signal.b.query: is missing: give a PromQL expression that returns a series for each service",
            "t:10: signal.b.sigma: 11 is out of range: give a number from 1 to 10",
            "t:11: signal.b.queri: is no key here: did you mean `query`?",
            "t:13: log.level: 1 is not allowed: give \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        ],
    );
}

#[test]
fn a_budget_stands_in_place_of_a_threshold_and_not_beside_one() {
    check_signal(
        "budget = '2/fortnight'",
        "budget: \"2/fortnight\" is no budget: give a whole number from 1 to 10000 per hour, day, week or month, such as \"2/week\"",
    );
    check(
        "[signal.x]\nquery = 'up'\nsigma = 4\nbudget = '2/week'",
        &[
            "t:3: signal.x.sigma: is given together with budget, from which it is calibrated: keep one of them",
        ],
    );
    check(
        "[signal_defaults]\nbudget = '2/week'\nfalse_openings_per_day = 1",
        &[
            "t:3: signal_defaults.false_openings_per_day: is given together with budget, from which it is calibrated: keep one of them",
        ],
    );
    check(
        "[signal.typo]\nbudget = '2/week'",
        &[
            "t:1: signal.typo.query: is missing: give a PromQL expression that returns a series for each service",
        ],
    );
}

#[test]
fn a_threshold_of_its_own_takes_a_signal_out_of_the_common_budget() {
    use crate::detect::Scope;
    let text = "[signal_defaults]\nbudget = '2/week'\n[signal.a]\nquery = 'a'\n[signal.b]\nquery = 'b'\nbudget = '1/day'\n\
                [signal.c]\nquery = 'c'\nfalse_openings_per_day = 1";
    let config = load_text("t", text, [], &[]).unwrap_or_else(|report| panic!("{report}"));
    let budgets: Vec<_> = config.signals.iter().map(|signal| signal.plan.settings.budget).collect();
    let told = budgets.iter().map(|of| of.map(|of| (of.budget.to_string(), of.scope)));
    let expected =
        [Some(("2/week".to_owned(), Scope::Common)), Some(("1/day".to_owned(), Scope::Signal)), None];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}
