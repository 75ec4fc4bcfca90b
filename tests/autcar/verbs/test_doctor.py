"""The doctor, on machines that we make up."""

import importlib.util
import json
from types import SimpleNamespace

import pytest

from autcar import cli
from autcar.errors import RuntimeMissingError
from autcar.machine import Machine
from autcar.verbs.doctor import examine

CAMERAS = """Available cameras
-----------------
0 : imx219 [3280x2464 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx219@10)
    Modes: 'SRGGB10_CSI2P' : 640x480
"""


class Pi:
    """A Raspberry Pi in a folder, in good health until something is changed."""

    def __init__(self, root):
        self.root = root
        self.groups = {"video", "gpio", "i2c", "autcar"}
        self.superuser = False
        self.now = 1_800_000_000.0
        self.answers = {
            "vcgencmd get_throttled": "throttled=0x0",
            "rpicam-hello --list-cameras": CAMERAS,
            "timedatectl show --property=NTPSynchronized --value": "yes",
            "systemctl show autcar-edge --property=LoadState,ActiveState,NRestarts": (
                "LoadState=loaded\nActiveState=active\nNRestarts=0"
            ),
            "systemctl show autcar-capture --property=LoadState,ActiveState,NRestarts": (
                "LoadState=not-found\nActiveState=inactive\nNRestarts=0"
            ),
        }
        self.write("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
        self.write(
            "etc/os-release",
            'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_CODENAME=trixie\n',
        )
        self.write("dev/gpiochip0", "")
        self.write("sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs", "N\n")
        self.write("sys/class/thermal/thermal_zone0/temp", "48312\n")

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def examine(self):
        machine = Machine(
            self.root,
            run=lambda *command: self.answers.get(" ".join(command), ""),
            groups=lambda: self.groups,
            superuser=self.superuser,
            now=lambda: self.now,
        )
        return {finding.what: finding for finding in examine(machine)}


@pytest.fixture
def pi(tmp_path):
    return Pi(tmp_path)


@pytest.fixture
def taking(monkeypatch):
    """Lets the shipped bundle's files, int8 and float32, take so many ms a frame."""

    def take(*ms):
        times = iter(ms)
        monkeypatch.setattr("autcar.verbs.doctor._milliseconds", lambda interpreter: next(times))

    return take


def test_a_pi_in_good_health(pi, taking):
    taking(0.2, 0.4)
    findings = pi.examine()
    for what in ("system", "pins", "strict_gpiod", "camera", "groups", "power", "temperature",
                 "autcar-edge", "shipped bundle", "clock"):  # fmt: skip
        assert findings[what].state == "OK", findings[what]
    assert findings["system"].found == (
        "Debian GNU/Linux 13 (trixie) on a Raspberry Pi 4 Model B Rev 1.4"
    )
    assert findings["camera"].found == "imx219"
    interpreter = findings["interpreter"]
    slow = "tflite-runtime" in interpreter.found
    assert interpreter.state == ("warning" if slow else "OK"), interpreter
    assert "int8 0.20 ms, float32 0.40 ms" in interpreter.found
    assert ("autcar bench --choose" in interpreter.fix) == slow
    assert "autcar-capture" not in findings


def test_a_processor_that_is_slower_with_int8_is_told_to_choose(pi, taking):
    taking(0.4, 0.2)
    finding = pi.examine()["interpreter"]
    assert finding.state == "warning"
    assert "does not accelerate int8 here: int8 0.40 ms, float32 0.20 ms" in finding.found
    assert "autcar bench --choose" in finding.fix


def ask(pi, command, answer):
    pi.answers[command] = answer


SHOW = "systemctl show autcar-edge --property=LoadState,ActiveState,NRestarts"


@pytest.mark.parametrize(
    ("change", "what", "state", "found", "fix"),
    [
        (lambda pi: ask(pi, "vcgencmd get_throttled", "throttled=0x50005"), "power", "failure",
         "now: under-voltage, throttled", "a supply of its own"),
        (lambda pi: ask(pi, "vcgencmd get_throttled", "throttled=0x50000"), "power", "warning",
         "since the start there was: under-voltage, throttled", "stronger supply"),
        (lambda pi: ask(pi, "vcgencmd get_throttled", ""), "power", "warning", "unknown",
         "sudo apt install raspi-utils"),
        (lambda pi: pi.groups.remove("gpio"), "groups", "warning", "you are not in gpio",
         "sudo usermod -aG gpio $USER, then log in again"),
        (lambda pi: (pi.root / "dev/gpiochip0").unlink(), "pins", "failure", "no /dev/gpiochip0",
         "full-upgrade"),
        (lambda pi: pi.write("sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs", "Y"),
         "strict_gpiod", "warning", "keeps its level", "dtparam=strict_gpiod"),
        (lambda pi: ask(pi, "rpicam-hello --list-cameras", "No cameras available!"), "camera",
         "warning", "none found", "rpicam-hello --list-cameras"),
        (lambda pi: pi.write("sys/class/thermal/thermal_zone0/temp", "81000"), "temperature",
         "warning", "81 °C", "fan"),
        (lambda pi: pi.write("etc/os-release", "VERSION_CODENAME=bullseye\n"), "system", "warning",
         "Raspberry Pi 4", "bookworm and trixie"),
        (lambda pi: setattr(pi, "now", 1000.0), "clock", "warning", "past", "timedatectl"),
        (lambda pi: ask(pi, "timedatectl show --property=NTPSynchronized --value", "no"), "clock",
         "warning", "not set by the network", "set-ntp"),
        (lambda pi: ask(pi, SHOW, "LoadState=loaded\nActiveState=failed\nNRestarts=4"),
         "autcar-edge", "warning", "failed, restarted 4 times", "journalctl -u autcar-edge -e"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_fix(pi, monkeypatch, change, what, state, found, fix):
    change(pi)
    monkeypatch.setattr("autcar.verbs.doctor._runtime", lambda: ())
    finding = pi.examine()[what]
    assert finding.state == state
    assert found in finding.found
    assert fix in finding.fix


def test_who_holds_the_camera(pi):
    process = pi.root / "proc" / "812"
    (process / "fd").mkdir(parents=True)
    (process / "fd" / "3").symlink_to("/dev/media0")
    (process / "comm").write_text("motion\n")
    finding = pi.examine()["camera"]
    assert finding.state == "warning"
    assert finding.found == "imx219, in use by motion (pid 812)"


def test_pins_of_another_group(pi, monkeypatch):
    monkeypatch.setattr("autcar.verbs.doctor.os.access", lambda *_: False)
    assert "usermod -aG gpio" in pi.examine()["pins"].fix


def test_any_other_machine(tmp_path):
    findings = {f.what for f in examine(Machine(tmp_path, run=lambda *command: ""))}
    assert {"Python", "numpy", "interpreter", "disk"} <= findings
    assert not {"pins", "camera", "power"} & findings


def test_the_verb_in_words_and_in_json(capsys):
    code = cli.main(["doctor"])
    assert "OK       Python" in capsys.readouterr().out
    assert cli.main(["doctor", "--json"]) == code
    rows = json.loads(capsys.readouterr().out)
    assert all(set(row) == {"state", "what", "found", "fix"} for row in rows)


def test_what_cannot_run_a_model_is_said(pi, monkeypatch):
    def missing():
        raise RuntimeMissingError("install one with `pip install ai-edge-litert`")

    monkeypatch.setattr("autcar.interpreter.find_runtime", missing)
    finding = pi.examine()["interpreter"]
    assert (finding.state, finding.found) == ("failure", "none")
    assert "pip install ai-edge-litert" in finding.fix


def test_a_shipped_bundle_that_is_damaged_is_said(pi, monkeypatch, tmp_path):
    monkeypatch.setattr("autcar.bundle.shipped_bundle", lambda: tmp_path / "gone")
    findings = pi.examine()
    assert findings["interpreter"].state == "OK"
    assert findings["shipped bundle"].state == "failure"
    assert "there is no bundle" in findings["shipped bundle"].fix


def test_a_config_that_cannot_be_used_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("autcar.verbs.doctor._runtime", lambda: ())
    (tmp_path / "car.toml").write_text("[camera]\nwidht = 3\n")
    assert cli.main(["doctor", "--config", str(tmp_path / "car.toml"), "--json"]) == 1
    rows = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["car.toml"]["found"] == "cannot be used"
    assert "did you mean width" in rows["car.toml"]["fix"]


def test_a_32_bit_machine_and_a_full_card_are_warned_of(pi, monkeypatch):
    monkeypatch.setattr("sys.maxsize", 2**31 - 1)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=600_000_000))
    monkeypatch.setattr("autcar.verbs.doctor._runtime", lambda: ())
    findings = pi.examine()
    assert "32-bit" in findings["Python"].found
    assert findings["disk"].found.startswith("600 MB free in")
    assert findings["disk"].state == "warning"


def test_a_thermometer_that_is_missing_is_unknown_and_a_setting_may_wait_for_a_restart(
    pi, monkeypatch
):
    monkeypatch.setattr("autcar.verbs.doctor._runtime", lambda: ())
    (pi.root / "sys/class/thermal/thermal_zone0/temp").unlink()
    pi.write("sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs", "Y")
    pi.write("boot/firmware/config.txt", "dtparam=audio=on\n dtparam=strict_gpiod\n")
    findings = pi.examine()
    assert findings["temperature"].found == "unknown"
    assert findings["strict_gpiod"].found == "set in /boot/firmware/config.txt"


def test_packages_of_apt_want_an_environment_that_sees_them(pi, monkeypatch):
    monkeypatch.setattr("autcar.verbs.doctor._runtime", lambda: ())
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "gpiozero" else real(name)
    )
    assert "sudo apt install" in pi.examine()["gpiozero"].fix
    pi.write("usr/share/doc/python3-gpiozero/copyright", "MIT")
    assert "python3 -m venv --system-site-packages" in pi.examine()["gpiozero"].fix
