#!/bin/sh
# The demo at speed 60 for 20 real minutes: memory, threads and file descriptors sampled each 10 s, then a stop by
# SIGINT. Fails where memory of the last quarter lies more than 10 % and 4 MB above that of the second, where threads
# double or descriptors grow by more than 4 between the two, or where the stop is not clean.
#
#   benches/soak.sh [minutes] [speed] [table]     PORTENT names the binary
set -eu

minutes=${1:-20}
speed=${2:-60}
table=${3:-soak.tsv}
portent=${PORTENT:-${CARGO_TARGET_DIR:-target}/release/portent}
folder=$(mktemp -d)
pid=
trap 'test -z "$pid" || kill "$pid" 2>/dev/null || true; rm -rf "$folder"' EXIT

(cd "$folder" && exec env TMPDIR="$folder" "$portent" demo --speed "$speed") >"$folder/out" 2>"$folder/err" &
pid=$!

status() { sed -n "s/^$1:[^0-9]*\([0-9]*\).*/\1/p" "/proc/$pid/status"; }
cpu_ticks() { sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'; }

printf 'seconds\trss_kb\thwm_kb\tthreads\tdescriptors\tcpu_ticks\n' >"$table"
begun=$(date +%s)
elapsed=0
while [ "$elapsed" -lt $((minutes * 60)) ]; do
    sleep 10
    elapsed=$(($(date +%s) - begun))
    kill -0 "$pid" 2>/dev/null || { echo "the demo ended after $elapsed s"; tail -n 20 "$folder/err"; exit 1; }
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$elapsed" "$(status VmRSS)" "$(status VmHWM)" "$(status Threads)" \
        "$(ls "/proc/$pid/fd" | wc -l)" "$(cpu_ticks)" >>"$table"
done

kill -INT "$pid"
code=0
wait "$pid" || code=$?
pid=

# Quarters of the run: the first one warms up.
awk -v code="$code" -F '\t' '
    NR > 1 { rss[++n] = $2; threads[n] = $4; files[n] = $5; hwm = $3; ticks = $6; seconds = $1 }
    function mean(of, from, to,    k, sum) { for (k = from; k <= to; k++) sum += of[k]; return sum / (to - from + 1) }
    function most(of, from, to,    k, top) { for (k = from; k <= to; k++) if (of[k] > top) top = of[k]; return top }
    END {
        a = int(n / 4) + 1; b = int(n / 2); c = int(3 * n / 4) + 1
        before = mean(rss, a, b) / 1024; after = mean(rss, c, n) / 1024
        printf "%d samples over %d s\n", n, seconds
        printf "RSS: second quarter %.1f MB, last quarter %.1f MB, most ever %.1f MB\n", before, after, hwm / 1024
        printf "threads: most %d then %d; descriptors: most %d then %d\n", \
            most(threads, a, b), most(threads, c, n), most(files, a, b), most(files, c, n)
        printf "CPU: %.2f %% of a core; SIGINT: exit %d\n", ticks / seconds, code
        if (after > before * 1.1 && after > before + 4) { print "memory is not flat"; failed = 1 }
        # Threads for blocking work come and go.
        if (most(threads, c, n) > most(threads, a, b) * 2) { print "threads grow"; failed = 1 }
        if (most(files, c, n) > most(files, a, b) + 4) { print "descriptors grow"; failed = 1 }
        if (code != 0) { print "the stop was not clean"; failed = 1 }
        exit failed
    }' "$table"
