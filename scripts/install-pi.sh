#!/usr/bin/env bash
# Installs autcar on a Raspberry Pi: Raspberry Pi OS bookworm or trixie, 64-bit.
#
#   sudo scripts/install-pi.sh              install, or bring up to date
#   sudo scripts/install-pi.sh --dry-run    say what it would do
#   sudo scripts/install-pi.sh --remove     take it out again; recordings, models and car.toml stay
#
# Run again after an interruption it goes on where it was: what is done is not done twice,
# and the version that is in use stays in use until the new one is complete. It ends by
# asking `autcar doctor`. It installs no TensorFlow: a car drives by a small interpreter.
set -euo pipefail

root=${AUTCAR_ROOT:-}        # tests put a folder before every path
software=$root/opt/autcar
program=$root/usr/local/bin/autcar
config=$root/etc/autcar/car.toml
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
packages=(python3-venv python3-picamera2 python3-gpiozero python3-lgpio raspi-utils)
dry_run=
remove=

say() { printf '%s\n' "$*"; }
die() { printf 'install-pi: %s\n' "$*" >&2; exit 1; }

run() {
    say "+ $*"
    [ -n "$dry_run" ] || "$@"
}

usage() { sed -n '2,/^set /{s/^# \{0,1\}//;/^set /d;p}' "${BASH_SOURCE[0]}"; }

while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=1 ;;
        --remove) remove=1 ;;
        --source) source=${2:?--source needs a folder or a wheel}; shift ;;
        -h | --help) usage; exit 0 ;;
        *) die "unknown option $1; try --help" ;;
    esac
    shift
done

check_machine() {
    local codename
    codename=$(. "$root/etc/os-release" 2>/dev/null && echo "${VERSION_CODENAME:-}") || true
    case $codename in
        bookworm | trixie) ;;
        *) die "this is ${codename:-an unknown system}; autcar wants Raspberry Pi OS bookworm or trixie" ;;
    esac
    case $(dpkg --print-architecture) in
        arm64) ;;
        armhf) die "this system is 32-bit. Driving by hand and recording work there from a checkout
(sudo apt install python3-picamera2 python3-gpiozero python3-lgpio python3-opencv python3-aiohttp;
python3 -m autcar.cli record), and on bookworm tflite-runtime 2.14 has a wheel for armv7 that
drives float models. For all of autcar install the 64-bit Raspberry Pi OS with Raspberry Pi Imager" ;;
        *) die "this is no Raspberry Pi; on a workstation type: make setup" ;;
    esac
}

missing_packages() {
    local package
    for package in "${packages[@]}"; do
        [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = "install ok installed" ] ||
            say "$package"
    done
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    if [ ${#missing[@]} -eq 0 ]; then
        say "packages: all there"
        return
    fi
    run apt-get update -qq
    run env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

# What is installed, by its content: a checkout that did not change is not installed again.
fingerprint() {
    if [ -d "$source" ]; then
        (cd "$source" && find autcar capture edge trainer models systemd pyproject.toml \
            -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum)
    else
        sha256sum <"$source"
    fi | sha256sum | cut -d' ' -f1
}

# Two places take turns: the new version is made beside the one in use.
install_autcar() {
    local wanted slot=a constraints=()
    wanted="$(fingerprint) $(/usr/bin/env python3 --version)"
    if [ -L "$software/current" ]; then
        local used
        used=$(basename "$(readlink "$software/current")")
        if [ "$(cat "$software/$used/.complete" 2>/dev/null)" = "$wanted" ]; then
            say "autcar: this version is installed"
            return
        fi
        [ "$used" = a ] && slot=b
    fi
    if [ -d "$source" ] && python3 -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then
        # Python 3.11 has tflite-runtime, which wants an older NumPy: the tested set.
        constraints=(--constraint "$source/constraints-car.txt")
    fi
    run rm -f "$software/$slot/.complete"
    run python3 -m venv --clear --system-site-packages "$software/$slot"
    run "$software/$slot/bin/python" -m pip install --quiet --disable-pip-version-check \
        "${constraints[@]}" "$source[car]"
    if [ -z "$dry_run" ]; then
        "$software/$slot/bin/autcar" --version
        say "$wanted" >"$software/$slot/.complete"
    fi
    # A link is replaced in one piece only by a rename, and a power cut after it must find whole files.
    run ln -sfn "$slot" "$software/next"
    run sync
    run mv -T "$software/next" "$software/current"
    run mkdir -p "$(dirname "$program")"
    run ln -sfn "$software/current/bin/autcar" "$program"
}

write_config() {
    if [ -e "$config" ]; then
        say "car.toml: $config stays as it is"
        return
    fi
    run mkdir -p "$(dirname "$config")"
    say "+ autcar config --camera picamera2 --motors stepper > $config"
    if [ -z "$dry_run" ]; then
        "$program" config --camera picamera2 --motors stepper >"$config.new"
        mv "$config.new" "$config"
    fi
}

join_groups() {
    local person=${SUDO_USER:-} group joined=
    [ -n "$person" ] && [ "$person" != root ] || return 0
    for group in video gpio i2c; do
        getent group "$group" >/dev/null || continue
        id -nG "$person" | grep -qw "$group" && continue
        run usermod -aG "$group" "$person"
        joined=1
    done
    [ -z "$joined" ] || say "log in again for the new groups to hold"
}

remove_autcar() {
    if [ -x "$program" ]; then
        run "$program" service remove || say "the services could not be removed; going on"
    fi
    run rm -f "$program"
    run rm -rf "$software"
    say "removed; $config, recordings and models stay, and so do the packages of apt:"
    say "  sudo apt remove ${packages[*]}"
}

if [ -z "$dry_run$root" ] && [ "$(id -u)" -ne 0 ]; then
    die "this needs root: sudo $0"
fi
if [ -n "$remove" ]; then
    remove_autcar
    exit 0
fi
check_machine
install_packages
install_autcar
write_config
join_groups
if [ -z "$dry_run" ]; then
    "$program" doctor || say "the doctor found something; what to type stands beside it"
    say "next: autcar config --camera picamera2 --motors stepper > car.toml (or your motors),"
    say "then autcar calibrate; to drive after each boot sudo autcar service install --config car.toml"
fi
