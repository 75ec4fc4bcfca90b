"""The services' installer, what they tell systemd, and what may be asked of them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autcar import cli
from autcar.appliance.control import Control, ControlError, ask
from autcar.appliance.service import (
    UNITS,
    Installer,
    ServiceError,
    car_drop_in,
    carry_out,
    motor_pins,
    unit_folder,
)
from autcar.appliance.service import health as health_of
from autcar.appliance.systemd import STEP_S, JournalHandler, Notifier
from autcar.config import Config, load_config
from autcar.errors import ConfigError
from tests.autcar.appliance.conftest import put, shows, told

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")

STEPPER = '[camera]\ndriver = "picamera2"\n[motors]\ndriver = "stepper"\n'


@pytest.fixture
def machine(tmp_path):
    """An empty machine, its installer, and the commands that it ran."""
    commands = []
    environment = Path("/opt/autcar/a")
    installer = Installer(tmp_path, lambda *command: commands.append(command), environment)
    return tmp_path, installer, commands


def install(installer, config=None, mode="drive", **options):
    given = {"source": None, "arm": False, "start": True} | options
    return installer.install(config or Config(), mode, **given)


def test_a_dry_run_touches_nothing(machine, capsys):
    root, installer, commands = machine
    before = sorted(root.rglob("*"))
    assert carry_out(install(installer), dry_run=True) > 5
    assert sorted(root.rglob("*")) == before
    assert commands == []
    assert "would   write" in capsys.readouterr().out


def test_installing_twice_writes_once_and_removing_leaves_nothing_but_data(machine, capsys):
    root, installer, commands = machine
    carry_out(install(installer), dry_run=False)
    units = root / "etc/systemd/system"
    assert {path.name for path in units.glob("*.service")} == set(UNITS.values())
    assert (root / "usr/local/bin/autcar").readlink() == Path("/opt/autcar/current/bin/autcar")
    assert load_config(root / "etc/autcar/car.toml") == Config()
    assert ("systemctl", "enable", "--quiet", "autcar-edge.service") in commands
    assert ("systemctl", "disable", "--quiet", "autcar-capture.service") in commands
    capsys.readouterr()
    carry_out(install(installer), dry_run=False)
    assert "do      write" not in capsys.readouterr().out
    (root / "var/lib/autcar/models").mkdir(parents=True)
    carry_out(installer.remove(purge=False), dry_run=False)
    left = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() or p.is_symlink()}
    assert left == {"etc/autcar/car.toml"}
    assert (root / "var/lib/autcar/models").is_dir()
    carry_out(installer.remove(purge=True), dry_run=False)
    assert not (root / "etc/autcar").exists()
    assert not (root / "var/lib/autcar").exists()


def test_a_group_of_before_goes_with_a_purge_and_hinders_no_install(machine, monkeypatch):
    _, installer, commands = machine
    service = "autcar.appliance.service"
    monkeypatch.setattr(f"{service}._user_exists", lambda name: False)
    monkeypatch.setattr(f"{service}._members", {"autcar": ["pi"]}.get)
    carry_out(installer.remove(purge=False), dry_run=False)
    assert ("groupdel", "autcar") not in commands
    carry_out(installer.remove(purge=True), dry_run=False)
    assert commands[-1] == ("groupdel", "autcar")
    carry_out(install(installer), dry_run=False)
    monkeypatch.setattr(f"{service}._members", {}.get)
    carry_out(install(installer), dry_run=False)
    there, missing = (command for command in commands if command[0] == "useradd")
    assert there[1:4] == ("--system", "--gid", "autcar")
    assert missing[1:3] == ("--system", "--user-group")
    commands.clear()
    carry_out(installer.remove(purge=True), dry_run=False)
    assert ("groupdel", "autcar") not in commands


def test_an_owners_config_is_kept_unless_another_is_given(machine, tmp_path):
    root, installer, _ = machine
    mine = root / "etc/autcar/car.toml"
    mine.parent.mkdir(parents=True)
    mine.write_text('[car]\nname = "mine"\n')
    carry_out(install(installer), dry_run=False)
    assert 'name = "mine"' in mine.read_text()
    other = tmp_path / "other.toml"
    other.write_text('[car]\nname = "other"\n')
    carry_out(install(installer, source=other), dry_run=False)
    assert 'name = "other"' in mine.read_text()


def test_arming_at_boot_is_a_choice_of_the_owner(machine):
    root, installer, _ = machine
    carry_out(install(installer, arm=True), dry_run=False)
    drop_in = (root / "etc/systemd/system/autcar-edge.service.d/car.conf").read_text()
    assert "ExecStart=\n" in drop_in
    assert drop_in.rstrip().endswith("--config /etc/autcar/car.toml --arm")
    carry_out(install(installer), dry_run=False)
    assert (
        "ExecStart" not in (root / "etc/systemd/system/autcar-edge.service.d/car.conf").read_text()
    )


def test_an_environment_that_services_cannot_read_is_refused(tmp_path, capsys):
    commands = []
    installer = Installer(
        tmp_path, lambda *command: commands.append(command), Path("/home/pi/venv")
    )
    steps = install(installer)
    assert carry_out(steps, dry_run=True) > 5
    planned = capsys.readouterr().out
    assert "  first   autcar runs from /home/pi/venv" in planned
    assert f"would   link {tmp_path}/opt/autcar/current → {tmp_path}/opt/autcar/a" in planned
    assert "would   write" in planned
    with pytest.raises(ServiceError, match="python3 -m venv --system-site-packages /opt/autcar/a"):
        carry_out(steps, dry_run=False)
    assert commands == []
    assert not any(tmp_path.iterdir())


def test_a_machine_without_systemd_is_told_in_a_line(tmp_path, monkeypatch, capsys):
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        "#!/bin/sh\necho System has not been booted with systemd as init system >&2\nexit 1\n"
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["service", "status"]) == 2
    said = "autcar: no systemd runs here, so there are no services; "
    said += "a car is asked by `autcar status pi@car.local`\n"
    assert capsys.readouterr().err == said
    systemctl.unlink()
    assert cli.main(["service", "status"]) == 2
    assert "systemctl is not here; services need Linux" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("arm", [False, True])
def test_systemd_has_no_word_against_the_units_and_finds_them_safe(machine, arm):
    """A misspelt key is only a warning there: any output at all fails."""
    root, installer, _ = machine
    config = Config()
    carry_out(install(installer, config, arm=arm), dry_run=False)
    folder = root / "etc/systemd/system"
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text().replace("/opt/autcar/current/bin/autcar", "/bin/true")
            path.write_text(text)
    units = [str(folder / unit) for unit in UNITS.values()]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=30", *units],
        capture_output=True,
        text=True,
    )
    print("\n".join(line for line in done.stdout.splitlines() if "exposure" in line))
    assert done.returncode == 0, done.stdout[-300:]


def test_the_pins_are_driven_low_without_python(tmp_path, monkeypatch):
    path = tmp_path / "car.toml"
    path.write_text(STEPPER)
    config = load_config(path)
    pins = motor_pins(config)
    assert len(pins) >= 4
    monkeypatch.setattr("shutil.which", lambda tool: f"/usr/bin/{tool}")
    listed = ",".join(map(str, pins))
    assert f"ExecStopPost=+/usr/bin/pinctrl set {listed} op dl\n" in car_drop_in(config)
    monkeypatch.setattr("shutil.which", lambda tool: None)
    with pytest.raises(ServiceError, match="apt install"):
        car_drop_in(config)


def test_header_places_are_told_by_their_broadcom_numbers():
    from dataclasses import replace

    config = Config()
    named = replace(
        config.motors, driver="stepper", options={"left_pins": "BOARD11 GPIO4 BOARD40 BCM26"}
    )
    pins = motor_pins(replace(config, motors=named))
    assert {17, 4, 21, 26} <= set(pins)
    named = replace(config.motors, driver="stepper", options={"left_pins": "BOARD1"})
    with pytest.raises(ConfigError, match="BOARD1 is no pin"):
        motor_pins(replace(config, motors=named))


def test_a_simulated_car_is_stopped_by_dd(tmp_path):
    from autcar.simulator.wires import Wires

    path = tmp_path / "car.toml"
    path.write_text(f'[simulator]\nwires = "{tmp_path}/wires"\n')
    with Wires(tmp_path / "wires") as wires:
        wires.write(0.7, 0.35)
        line = next(
            line
            for line in car_drop_in(load_config(path)).splitlines()
            if line.startswith("ExecStopPost=+")
        )
        subprocess.run(line.removeprefix("ExecStopPost=+").split(), check=True)
        assert wires.read()[:2] == (0.0, 0.0)


def test_what_systemd_hears(tmp_path):
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(1)
        notifier = Notifier(str(address))
        notifier.status("at rest:\nnot armed")
        notifier.status("at rest:\nnot armed")
        notifier.ready()
        for _ in range(100):
            notifier.alive()
        said = [manager.recv(1000).decode() for _ in range(3)]
        assert said == ["STATUS=at rest: not armed", "READY=1", "WATCHDOG=1"]
        notifier.step("opening the camera")
        notifier.step("opening the camera")
        said = [manager.recv(1000).decode() for _ in range(3)]
        assert said == ["STATUS=opening the camera", *2 * ["EXTEND_TIMEOUT_USEC=30000000"]]
        manager.settimeout(0)
        with pytest.raises(BlockingIOError):
            manager.recv(1000)


@pytest.mark.parametrize("unit", UNITS.values())
def test_a_step_of_a_start_has_as_long_as_the_first_one(unit):
    assert f"TimeoutStartSec={STEP_S}\n" in (unit_folder() / unit).read_text()


def test_a_manager_that_does_not_read_holds_nobody_up(tmp_path):
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        notifier = Notifier(str(address))
        began = time.monotonic()
        for number in range(10_000):
            notifier.status(str(number))
        assert time.monotonic() - began < 2
    notifier.ready()  # and one that has gone is passed over
    Notifier("").ready()


def test_a_log_line_is_an_entry_with_fields(tmp_path):
    import logging

    address = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(address))
        handler = JournalHandler(str(address))
        record = logging.LogRecord("autcar.edge", logging.WARNING, "", 0, "two\nlines", (), None)
        record.fields = {"reason": "LENS_COVERED"}
        handler.emit(record)
        entry = journal.recv(10_000)
    assert b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n" in entry
    assert b"PRIORITY=4\n" in entry
    assert b"AUTCAR_REASON=LENS_COVERED\n" in entry


def test_the_control_socket_answers_and_lets_only_its_group_in(tmp_path):
    def answer(request: str) -> dict:
        if request == "fail":
            raise ValueError("so it is")
        return {"asked": request}

    with Control(answer, tmp_path):
        assert ask("status", tmp_path) == {"asked": "status"}
        assert (tmp_path / "control").stat().st_mode & 0o777 == 0o660
        with pytest.raises(ControlError, match="so it is"):
            ask("fail", tmp_path)
        # Who connects and says nothing blocks nobody for long.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
            silent.connect(str(tmp_path / "control"))
            assert ask("status", tmp_path) == {"asked": "status"}
    with pytest.raises(ControlError, match="sudo autcar service start"):
        ask("status", tmp_path)


def test_a_socket_of_a_killed_service_is_no_hindrance(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(tmp_path / "control"))
    with Control(lambda request: {"asked": request}, tmp_path):
        assert ask("arm", tmp_path) == {"asked": "arm"}


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        ({"LoadState": "not-found"}, "not installed; sudo autcar service install"),
        ({"ActiveState": "active", "StatusText": "x: drives"}, "runs: x: drives"),
        ({"ActiveState": "active", "NRestarts": "2"}, "(restarted 2 times)"),
        ({"ActiveState": "failed", "NRestarts": "4"}, "stays down after 5 failures (exit-code)"),
        (
            {"ActiveState": "failed", "ExecMainStatus": "69"},
            "stays down (exit-code, exit code 69)",
        ),
        ({"ActiveState": "activating", "SubState": "start"}, "activating (start)"),
    ],
)
def test_status_says_it_in_a_sentence(monkeypatch, shown, says):
    usual = {
        "LoadState": "loaded",
        "ActiveState": "inactive",
        "SubState": "",
        "NRestarts": "0",
        "Result": "exit-code",
        "StatusText": "",
        "ExecMainStatus": "1",
        "MainPID": "0",
        "StartLimitBurst": "5",
    }
    text = "\n".join(f"{key}={value}" for key, value in (usual | shown).items())
    monkeypatch.setattr("autcar.appliance.service.systemctl", lambda *command, **_: text)
    assert says in health_of("autcar-edge.service")["says"]


def test_the_service_is_ready_disarmed_armed_by_the_verb_and_at_rest_at_its_end(tmp_path):
    """The program itself, without systemd."""
    import os

    from autcar.simulator.wires import Wires

    config = tmp_path / "car.toml"
    config.write_text(f'[simulator]\nwires = "{tmp_path}/wires"\n')
    notify = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(notify))
        manager.settimeout(20)
        process = subprocess.Popen(
            [sys.executable, "-m", "autcar.cli", "drive", "--service", "--config", config],
            env={
                **os.environ,
                "NOTIFY_SOCKET": str(notify),
                "AUTCAR_RUN": str(tmp_path),
                "AUTCAR_STATE": str(tmp_path / "state"),
            },
            stderr=subprocess.DEVNULL,
        )
        try:
            while manager.recv(1000) != b"READY=1":
                pass
            with Wires(tmp_path / "wires") as wires:
                facts = ask("status", tmp_path)
                assert facts["ready"]
                assert not facts["armed"]
                assert wires.read()[:2] == (0.0, 0.0)
                assert ask("arm", tmp_path)["armed"]
                until = time.monotonic() + 5
                while wires.read()[:2] == (0.0, 0.0):
                    assert time.monotonic() < until
                with pytest.raises(ControlError, match="unknown request"):
                    ask("fly", tmp_path)
                process.terminate()
                assert process.wait(10) == 143
                assert wires.read()[:2] == (0.0, 0.0)
        finally:
            process.kill()
            process.wait()
    assert not (tmp_path / "control").exists()


def test_the_verbs_ask_and_tell_systemd(car, programs, monkeypatch, capsys):
    shows(programs, ActiveState="active", StatusText="default: at rest")
    assert cli.main(["service", "status"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "autcar-edge.service     runs: default: at rest",
        "autcar-capture.service  runs: default: at rest",
    ]
    assert cli.main(["service", "start", "record"]) == 0
    assert capsys.readouterr().out == "default: at rest\n"
    assert cli.main(["service", "stop"]) == 0
    both = " ".join(UNITS.values())
    assert told(programs) == [
        f"reset-failed {both}",
        "restart autcar-capture.service",
        f"stop {both}",
    ]
    shows(programs, ActiveState="failed", ExecMainStatus="69", StatusText="no camera")
    assert cli.main(["service", "status", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [(row["unit"], row["active"]) for row in rows] == [(u, False) for u in UNITS.values()]
    put(programs, "journalctl", 'echo "$@"; exit 3')
    monkeypatch.setattr("subprocess.run", heard := Heard(subprocess.run))
    assert cli.main(["service", "logs", "-f", "-n", "7"]) == 3
    assert heard.commands == [
        [
            "journalctl",
            "--no-pager",
            "-n",
            "7",
            "-f",
            *(w for u in UNITS.values() for w in ("-u", u)),
        ]
    ]


class Heard:
    """A function that runs commands, and what it was given to run."""

    def __init__(self, run):
        self.run, self.commands = run, []

    def __call__(self, command, **options):
        self.commands.append(command)
        return self.run(command, **options)


def test_arming_and_disarming_say_what_came_of_it(car, capsys):
    def answer(request):
        return {"armed": request == "arm", "reason": "disarmed"}

    with Control(answer, car / "run"):
        assert cli.main(["service", "arm"]) == 0
        assert cli.main(["service", "disarm"]) == 0
    assert capsys.readouterr().out == "armed: it drives\nat rest: disarmed\n"
    assert cli.main(["service", "arm"]) == 2
    assert "start one with `sudo autcar service start`" in capsys.readouterr().err


def test_what_systemctl_refuses_is_told(car, programs, monkeypatch, capsys):
    put(programs, "systemctl", "echo 'Unit not found.' >&2; exit 5")
    assert cli.main(["service", "stop"]) == 2
    assert "failed: Unit not found.; look at `autcar service logs`" in capsys.readouterr().err
    # Who is not root asks sudo to change something, never to look.
    put(programs, "sudo", f'printf "%s " "$@" > {programs}/sudo.log')
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert cli.main(["service", "stop"]) == 0
    assert (programs / "sudo.log").read_text().startswith("-n systemctl stop")
    assert cli.main(["service", "install"]) == 2
    assert "this needs root: sudo autcar service install" in capsys.readouterr().err
    assert cli.main(["service", "remove"]) == 2
    assert "this needs root: sudo autcar service remove" in capsys.readouterr().err


def test_the_verbs_put_in_and_take_out(car, machine, monkeypatch, capsys):
    root, installer, commands = machine
    monkeypatch.setattr("autcar.appliance.service.Installer", lambda: installer)
    config = root / "mine.toml"
    config.write_text('[car]\nname = "mine"\n')
    assert cli.main(["service", "install", "record", "--config", str(config), "--no-start"]) == 0
    assert capsys.readouterr().out.endswith("next: autcar service status\n")
    assert load_config(root / "etc/autcar/car.toml").car.name == "mine"
    assert ("systemctl", "enable", "--quiet", "autcar-capture.service") in commands
    assert not any("restart" in command for command in commands)
    assert cli.main(["service", "remove", "--dry-run"]) == 0
    assert (root / "etc/systemd/system/autcar-edge.service").exists()
    assert cli.main(["service", "remove"]) == 0
    assert "kept: /etc/autcar, /var/lib/autcar" in capsys.readouterr().out
    assert not (root / "etc/systemd/system/autcar-edge.service").exists()
    assert (root / "etc/autcar/car.toml").exists()


def test_a_step_that_fails_says_which_command_and_why(programs, tmp_path):
    installer = Installer(tmp_path)
    put(programs, "systemctl", "echo 'no such unit' >&2; exit 1")
    with pytest.raises(ServiceError, match="`systemctl daemon-reload` failed: no such unit; look"):
        installer._command("tell", "systemctl", "daemon-reload").do()
    with pytest.raises(ServiceError, match="gone-away is not here; services need a Linux"):
        installer._command("tell", "gone-away").do()


def test_the_owner_of_the_car_joins_its_group(machine, monkeypatch):
    _, installer, commands = machine
    monkeypatch.setenv("SUDO_USER", "nobody-here")
    carry_out(install(installer), dry_run=False)
    assert ("usermod", "-aG", "autcar", "nobody-here") in commands


@pytest.mark.parametrize(
    ("version", "how"), [("gpioset (libgpiod) v1.6.3", "gpiochip0"), ("v2.1", "-t0 -c gpiochip0")]
)
def test_pins_are_driven_low_by_either_gpioset(tmp_path, programs, monkeypatch, version, how):
    path = tmp_path / "car.toml"
    path.write_text(STEPPER)
    config = load_config(path)
    put(programs, "gpioset", f"echo '{version}'")
    real = shutil.which
    monkeypatch.setattr("shutil.which", lambda tool: None if tool == "pinctrl" else real(tool))
    zeros = " ".join(f"{pin}=0" for pin in motor_pins(config))
    assert f"ExecStopPost=+{programs}/gpioset {how} {zeros}\n" in car_drop_in(config)


def test_a_car_without_such_a_tool_is_told_before_anything_is_done(machine, monkeypatch, tmp_path):
    root, installer, commands = machine
    path = tmp_path / "servo.toml"
    path.write_text(
        '[camera]\ndriver = "opencv"\n[motors]\ndriver = "servo"\noutput = "pca9685"\n'
    )
    config = load_config(path)
    monkeypatch.setattr("shutil.which", lambda tool: None)
    with pytest.raises(ServiceError, match="`sudo apt install i2c-tools`, then install again"):
        carry_out(install(installer, config), dry_run=False)
    assert commands == []
    assert not (root / "etc").exists()
    monkeypatch.setattr("shutil.which", lambda tool: f"/usr/sbin/{tool}")
    assert car_drop_in(config).splitlines()[-2:] == [
        "ExecStopPost=+/usr/sbin/i2cset -y 1 64 0xfd 0x10",
        "DeviceAllow=/dev/i2c-1 rw",
    ]
