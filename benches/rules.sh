#!/bin/sh
# What judging 10,000 series once costs the whole system: the agent and a real Prometheus that it asks, beside z-score
# rules over 1 h inside that same Prometheus; and the memory that the agent takes for it.
#
# Makes an hour and a half of history with a sample each 15 s and half an hour to come, back-fills it into a Prometheus
# of its own, evaluates the expression of an alerting rule on every series at 20 successive steps, then lets
# `portent run` poll the same series. CPU is user and system time of both processes by /proc/PID/stat.
#
#   benches/rules.sh [seconds] [interval] [series]     PORTENT names the binary
#
# With an interval of 15s each poll brings one new sample a series; with 5m it brings 20: give it 640 seconds then.
# Takes about two minutes longer than the seconds, and 2 GB in the temporary folder.
set -eu

seconds=${1:-300}
interval=${2:-15s}
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
awk -v from=$((now - 5400)) -v to=$((now + 1800)) -v series="$series" 'BEGIN {
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
echo 'global: {scrape_interval: 1h}' >"$folder/prometheus.yml"
prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" --log.level=error \
    --web.listen-address="127.0.0.1:$prometheus_port" >"$folder/prometheus.log" 2>&1 &
prometheus=$!
answers "http://127.0.0.1:$prometheus_port/-/ready"

# The rule: only what it finds is counted, so that no answer of 10,000 series weighs on its side.
rule='count(abs(bench_value - avg_over_time(bench_value[1h])) > 3 * stddev_over_time(bench_value[1h])) or vector(0)'
evaluate() {
    curl -sf -o "$folder/answer" --data-urlencode "query=$rule" --data "time=$1" \
        "http://127.0.0.1:$prometheus_port/api/v1/query"
}
evaluate $((now - 600))
before=$(ticks "$prometheus")
step=0
while [ "$step" -lt 20 ]; do
    evaluate $((now - 300 + step * 15))
    step=$((step + 1))
done
rule_ticks=$(($(ticks "$prometheus") - before))

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

awk -v series="$series" -v rule="$rule_ticks" -v agent="$agent_ticks" -v prometheus="$prometheus_ticks" \
    -v judged="$judged_now" -v before="$judged_before" -v seconds="$seconds" -v interval="$interval" 'BEGIN {
    span = interval; unit = 1; if (sub(/m$/, "", span)) unit = 60; sub(/s$/, "", span); span *= unit
    samples = judged - before; points = span / 15; polls = samples / series / points
    printf "%d series, every %s: %d samples judged in %d s, %.1f polls of %d new samples a series\n", \
        series, interval, samples, seconds, polls, points
    if (polls < 1) { print "no poll was measured"; exit 1 }
    printf "z-score rule in Prometheus, one evaluation: %7.1f ms CPU\n", rule * 10 / 20
    printf "one poll: Prometheus %7.1f ms, agent %7.1f ms, both %7.1f ms: 1/%.1f of one evaluation, 1/%.1f of %d\n", \
        prometheus * 10 / polls, agent * 10 / polls, (prometheus + agent) * 10 / polls, \
        rule / 20 / ((prometheus + agent) / polls), rule / 20 * points / ((prometheus + agent) / polls), points
}'
echo "agent: RSS after history $after_history MB, at the end $(memory "$agent" VmRSS) MB, most ever $(memory "$agent" VmHWM) MB"
kill -INT "$agent"
code=0
wait "$agent" || code=$?
agent=
echo "SIGINT: exit $code"
exit "$code"
