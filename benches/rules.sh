#!/bin/sh
# What judging 10,000 series at one step costs the whole system: the agent and a real Prometheus that it asks, beside an
# alerting rule inside that same Prometheus that compares with the mean and deviation of 1 h at the same step of 15 s;
# and the memory that the agent takes for it.
#
# Makes an hour and a half of history with a sample each 15 s and what is needed to come, back-fills it into a Prometheus
# of its own, and measures three spans of the same length one after the other: Prometheus alone, with the rule in a group
# of its own, and without it but asked by `portent run`. All at the pace at which they run in production, since work done
# back to back finds warm caches that neither side has there. CPU is user and system time by /proc/PID/stat.
#
#   benches/rules.sh [seconds] [interval] [series]     PORTENT names the binary
#
# The interval is how often the agent polls: 60s, the default, brings four new samples a series, 15s one, 5m twenty (give
# it 640 seconds then). Takes about two minutes longer than three times the seconds, and 2 GB in the temporary folder.
set -eu

seconds=${1:-150}
interval=${2:-60s}
series=${3:-10000}
portent=${PORTENT:-${CARGO_TARGET_DIR:-target}/release/portent}
prometheus_port=${PROMETHEUS_PORT:-19390}
agent_port=${AGENT_PORT:-19398}
folder=$(mktemp -d)
agent=
prometheus=
finish() {
    for each in $agent $prometheus; do kill "$each" 2>/dev/null || true; done
    wait
    rm -rf "$folder"
}
trap finish EXIT

ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }
memory() { awk -v name="$2:" '$1 == name { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }
evaluations() { curl -sf "http://127.0.0.1:$prometheus_port/metrics" | awk '/^prometheus_rule_evaluations_total/ { n += $2 } END { print n + 0 }'; }
judged() { curl -sf "http://127.0.0.1:$agent_port/metrics" | awk '/^portent_samples_judged_total/ { print $2 }'; }
answers() { # Waits for up to two minutes until a URL answers.
    tries=0
    until curl -sf -o "$folder/answer" "$1"; do
        tries=$((tries + 1))
        test "$tries" -lt 120 || { echo "$1 does not answer"; tail -n 5 "$folder"/*.log; exit 1; }
        sleep 1
    done
}

now=$(($(date +%s) / 15 * 15))
awk -v from=$((now - 5400)) -v to=$((now + 3 * seconds + 900)) -v series="$series" 'BEGIN {
    srand(7)
    print "# TYPE bench_value gauge"
    for (n = 0; n < series; n++) {
        labels = sprintf("instance=\"10.0.%d.%d:9100\",job=\"shop\",method=\"GET\",pod=\"pod-%05d\",service=\"service-%04d\"", \
            n / 250, n % 250, n, n / 5)
        for (t = from; t <= to; t += 15) printf "bench_value{%s} %.16g %d\n", labels, 0.9 + 0.2 * rand(), t
    }
    print "# EOF"
}' >"$folder/history.om"
mkdir "$folder/data"
promtool tsdb create-blocks-from openmetrics -q "$folder/history.om" "$folder/data" >/dev/null
rm "$folder/history.om"
configure() { # Writes Prometheus' own configuration, with the files of rules given.
    printf 'global: {scrape_interval: 1h, evaluation_interval: 15s}\nrule_files: [%s]\n' "$1" >"$folder/prometheus.yml"
}
cat >"$folder/rules.yml" <<'END'
groups:
  - name: bench
    rules:
      - alert: FarFromTheMean
        expr: abs(bench_value - avg_over_time(bench_value[1h])) > 3 * stddev_over_time(bench_value[1h])
END
configure ''
prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" --log.level=error --web.enable-lifecycle \
    --web.listen-address="127.0.0.1:$prometheus_port" >"$folder/prometheus.log" 2>&1 &
prometheus=$!
answers "http://127.0.0.1:$prometheus_port/-/ready"

reload() { curl -sf -X POST "http://127.0.0.1:$prometheus_port/-/reload"; }

# Nothing may be measured while Prometheus still settles in.
sleep 20
before=$(ticks "$prometheus")
sleep "$seconds"
idle_ticks=$(($(ticks "$prometheus") - before))

configure rules.yml
reload
sleep 20
evaluations_before=$(evaluations)
before=$(ticks "$prometheus")
sleep "$seconds"
rule_ticks=$(($(ticks "$prometheus") - before))
evaluated=$(($(evaluations) - evaluations_before))
configure ''
reload

cat >"$folder/portent.toml" <<END
[source]
url = "http://127.0.0.1:$prometheus_port"
[signal_defaults]
step = "15s"
interval = "$interval"
[signal.bench]
query = "bench_value"
END
"$portent" run --config.file "$folder/portent.toml" --storage.path "$folder/portent.db" \
    --web.listen-address "127.0.0.1:$agent_port" >"$folder/portent.log" 2>&1 &
agent=$!
answers "http://127.0.0.1:$agent_port/-/ready"
sleep 10
after_history=$(memory "$agent" VmRSS)
agent_before=$(ticks "$agent")
prometheus_before=$(ticks "$prometheus")
judged_before=$(judged)
sleep "$seconds"
agent_ticks=$(($(ticks "$agent") - agent_before))
prometheus_ticks=$(($(ticks "$prometheus") - prometheus_before))
judged_now=$(judged)

awk -v series="$series" -v idle="$idle_ticks" -v rule="$rule_ticks" -v evaluated="$evaluated" -v agent="$agent_ticks" \
    -v prometheus="$prometheus_ticks" -v judged="$((judged_now - judged_before))" -v seconds="$seconds" \
    -v interval="$interval" 'BEGIN {
    steps = judged / series; both = (agent + prometheus) * 10 / steps; once = rule * 10 / evaluated
    printf "%d series for %d s: %d evaluations of the rule; %.1f steps judged, polled every %s\n", \
        series, seconds, evaluated, steps, interval
    if (steps < 1 || evaluated < 1) { print "nothing was measured"; exit 1 }
    printf "Prometheus alone, 15 s:             %7.1f ms CPU\n", idle * 10 / seconds * 15
    printf "z-score rule over 1 h, one step:    %7.1f ms CPU\n", once
    printf "judged by the agent, one step:      %7.1f ms CPU, Prometheus %.1f ms and agent %.1f ms: 1/%.1f of the rule\n", \
        both, prometheus * 10 / steps, agent * 10 / steps, once / both
}'
echo "agent: RSS after history $after_history MB, at the end $(memory "$agent" VmRSS) MB, most ever $(memory "$agent" VmHWM) MB"
kill -INT "$agent"
code=0
wait "$agent" || code=$?
agent=
echo "SIGINT: exit $code"
exit "$code"
