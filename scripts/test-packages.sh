#!/usr/bin/env bash
# Installs the Debian packages that the tests run against, where that is possible without asking.
#
# Tests start these programs by themselves, each on a free port with a temporary directory; nothing that this script
# installs is left running. Without a program its tests are skipped, and this script says so; with CI set that is a
# failure, since a green run must mean that everything ran.
set -euo pipefail

# package:program that it brings
REQUIRED=(
    prometheus:prometheus
    prometheus:promtool
    prometheus-alertmanager:prometheus-alertmanager
    prometheus-alertmanager:amtool
    systemd:systemd-analyze
    victoria-metrics:victoria-metrics
    nginx:/usr/sbin/nginx
    openssl:openssl
    prometheus-node-exporter:prometheus-node-exporter
)

missing_packages() {
    local entry
    for entry in "${REQUIRED[@]}"; do
        command -v "${entry#*:}" >/dev/null 2>&1 || echo "${entry%%:*}"
    done | sort -u
}

# Runs a command as root, or fails; never waits for a password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo -n "$@"
    else
        echo "neither root nor sudo" >&2
        return 1
    fi
}

# RUNLEVEL=1 keeps init scripts from starting what is installed.
apt_get() {
    as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@"
}

# A running systemd starts units whatever the run level says: stop those that this install has brought.
stop_units() {
    [ -d /run/systemd/system ] || return 0
    local package unit
    for package in "$@"; do
        dpkg -L "$package" | sed -n 's|^.*/systemd/system/\([^/@]*\.service\)$|\1|p' | while read -r unit; do
            as_root systemctl disable --now "$unit" </dev/null
        done
    done
}

install_packages() {
    command -v apt-get >/dev/null 2>&1 || { echo "no apt-get here" >&2; return 1; }
    apt_get update && apt_get install -y --no-install-recommends "$@" && stop_units "$@"
}

mapfile -t packages < <(missing_packages)
[ "${#packages[@]}" -gt 0 ] || exit 0

echo "installing for the tests: ${packages[*]}"
install_packages "${packages[@]}" || true

mapfile -t packages < <(missing_packages)
[ "${#packages[@]}" -gt 0 ] || exit 0

cat >&2 <<NOTICE

  ############################################################################
  #  MISSING: ${packages[*]}
  #  The tests against these real components WILL BE SKIPPED.
  #  To run them: apt-get install --no-install-recommends ${packages[*]}
  ############################################################################

NOTICE

case "${CI:-false}" in
    false | 0 | "") exit 0 ;;
    *)
        echo "CI is set: a run that skips tests is a failure" >&2
        exit 1
        ;;
esac
