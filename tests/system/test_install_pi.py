"""The Pi's install script, against commands that only write down that they were called."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/install-pi.sh"

# What each command does in our Pi, beside being written down.
COMMANDS = {
    "dpkg": 'echo "${ARCHITECTURE:-arm64}"',
    "dpkg-query": '[ -e "$AUTCAR_ROOT/apt-done" ] && printf "install ok installed"',
    "apt-get": '[ "$1" = install ] && touch "$AUTCAR_ROOT/apt-done"; [ -z "${APT_FAILS:-}" ]',
    "usermod": "true",
    "sync": 'echo "$(readlink "$AUTCAR_ROOT/opt/autcar/current") is used" >> "$LOG"',
    "getent": "true",
    "id": 'if [ "$1" = -u ]; then echo 0; else echo pi video; fi',
    "python3": r"""
case "$*" in
    --version) echo "Python ${PYTHON:-3.13.5}" ;;
    -c*) [ "${PYTHON:-3.13.5}" = 3.11.2 ] ;;
    *venv*)
        for slot; do :; done
        [ -e "$AUTCAR_ROOT/apt-done" ] || exit 1
        rm -rf "$slot" && mkdir -p "$slot/bin"
        cp "$FAKES/pip" "$slot/bin/python" ;;
esac""",
    "pip": r"""
[ -z "${PIP_FAILS:-}" ] || exit 1
cp "$FAKES/autcar" "$(dirname "$0")/autcar" """,
    "autcar": 'case "$1" in config) echo "[car]" ;; --version) echo "autcar 1" ;; esac',
}


class Pi:
    def __init__(self, folder):
        self.root = folder / "root"
        self.fakes = folder / "fakes"
        self.log = folder / "log"
        (self.root / "etc").mkdir(parents=True)
        self.fakes.mkdir()
        self.codename("trixie")
        for name, does in COMMANDS.items():
            path = self.fakes / name
            path.write_text(f'#!/bin/bash\necho "{name} $*" >> "$LOG"\n{does}\n')
            path.chmod(0o755)
        self.source = folder / "source"
        for name in ("autcar", "capture", "edge", "trainer", "models", "systemd"):
            (self.source / name).mkdir(parents=True)
            (self.source / name / "file").write_text(name)
        (self.source / "pyproject.toml").write_text("")

    def codename(self, name):
        (self.root / "etc/os-release").write_text(f"VERSION_CODENAME={name}\n")

    def run(self, *options, **environment):
        """Run the script; returns what it said and what it called."""
        self.log.write_text("")
        done = subprocess.run(
            ["bash", SCRIPT, "--source", self.source, *options],
            env={
                "PATH": f"{self.fakes}:{os.environ['PATH']}",
                "AUTCAR_ROOT": str(self.root),
                "FAKES": str(self.fakes),
                "LOG": str(self.log),
                "SUDO_USER": "pi",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        self.code = done.returncode
        self.said = done.stdout + done.stderr
        return self.said, self.log.read_text()

    def inside(self, path):
        return self.root / path


@pytest.fixture
def pi(tmp_path):
    return Pi(tmp_path)


def test_installs(pi):
    said, called = pi.run()
    assert pi.code == 0, said
    assert "python3-picamera2 python3-gpiozero python3-lgpio" in called
    assert f"venv --clear --system-site-packages {pi.inside('opt/autcar/a')}" in called
    assert "tensorflow" not in called
    assert pi.inside("opt/autcar/current").readlink() == Path("a")
    assert pi.inside("usr/local/bin/autcar").resolve() == pi.inside("opt/autcar/a/bin/autcar")
    assert pi.inside("etc/autcar/car.toml").read_text() == "[car]\n"
    assert "usermod -aG gpio pi" in called
    assert "usermod -aG video pi" not in called
    assert "autcar doctor" in called
    assert "--constraint" not in called


def test_again_it_does_nothing(pi):
    pi.run()
    pi.inside("etc/autcar/car.toml").write_text("mine")
    said, called = pi.run()
    assert pi.code == 0
    assert "packages: all there" in said
    assert "autcar: this version is installed" in said
    assert "-m venv" not in called
    assert "apt-get" not in called
    assert pi.inside("etc/autcar/car.toml").read_text() == "mine"


@pytest.mark.parametrize("fault", ["APT_FAILS", "PIP_FAILS"])
def test_interrupted_it_goes_on(pi, fault):
    pi.run(**{fault: "1"})
    assert pi.code != 0
    assert not pi.inside("usr/local/bin/autcar").exists()
    pi.run()
    assert pi.code == 0
    assert pi.inside("usr/local/bin/autcar").exists()


def test_a_new_version_takes_the_other_place_and_a_failing_one_changes_nothing(pi):
    pi.run()
    (pi.source / "autcar/file").write_text("newer")
    pi.run(PIP_FAILS="1")
    assert pi.code != 0
    assert pi.inside("opt/autcar/current").readlink() == Path("a")
    _, called = pi.run()
    assert "sync \na is used\n" in called  # all is on the disk before the other one is
    assert pi.inside("opt/autcar/current").readlink() == Path("b")
    (pi.source / "autcar/file").write_text("newest")
    pi.run()
    assert pi.inside("opt/autcar/current").readlink() == Path("a")


def test_python_3_11_takes_the_tested_set(pi):
    pi.codename("bookworm")
    _, called = pi.run(PYTHON="3.11.2")
    assert f"--constraint {pi.source}/constraints-car.txt {pi.source}[car]" in called


def test_a_dry_run_changes_nothing(pi):
    before = sorted(pi.root.rglob("*"))
    said, called = pi.run("--dry-run")
    assert pi.code == 0
    assert "+ apt-get update" in said
    assert "+ python3 -m venv" in said
    assert sorted(pi.root.rglob("*")) == before
    assert not {"apt-get", "usermod", "pip"} & {line.split()[0] for line in called.splitlines()}


def test_it_can_be_removed(pi):
    pi.run()
    said, called = pi.run("--remove")
    assert pi.code == 0
    assert "autcar service remove" in called
    assert not pi.inside("opt/autcar").exists()
    assert not pi.inside("usr/local/bin/autcar").is_symlink()
    assert pi.inside("etc/autcar/car.toml").exists()
    assert "sudo apt remove" in said
    pi.run("--remove")
    assert pi.code == 0


def test_other_systems_are_refused_with_what_works(pi):
    said, called = pi.run(ARCHITECTURE="armhf")
    assert pi.code == 1
    assert "32-bit" in said
    assert "tflite-runtime" in said
    assert "apt-get" not in called
    said, _ = pi.run(ARCHITECTURE="amd64")
    assert "on a workstation type: make setup" in said
    pi.codename("bullseye")
    said, _ = pi.run()
    assert "this is bullseye; autcar wants Raspberry Pi OS bookworm or trixie" in said
    said, _ = pi.run("--instal")
    assert "unknown option --instal; try --help" in said
    said, _ = pi.run("--help")
    assert "--dry-run    say what it would do" in said
