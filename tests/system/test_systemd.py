"""The car under a real systemd: Debian trixie and Python 3.13, booted in a container.

One boot brings the faults about, each while the car drives, and ends by cutting the power
of a driving car; a second boot sees what became of it. The wheels are watched from
outside the car's processes (``in_the_car.py``).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.system.car_tree import Car, missing

pytestmark = [
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
    pytest.mark.timeout(600),
]

FIRST = (
    *(
        "install",
        "drive",
        "priority",
        "kill",
        "kill_all",
        "kill_guardian",
        "hang",
        "hang_all",
        "stop",
    ),
    *(
        "five_crashes",
        "wrong_config",
        "no_camera",
        "both_services",
        "capture_hangs",
        "capture_kill",
        "arm_before_power_off",
    ),
)
SECOND = (
    *("after_reboot", "arm_at_boot", "models", "model_hangs", "deploy_by_ssh", "update_by_ssh"),
    "trial_before_power_off",
)
THIRD = ("after_trial", "update", "update_before_power_off")
FOURTH = ("after_update_cut", "remove")

UNITS = ("autcar-edge.service", "autcar-capture.service")


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    car = Car(tmp_path_factory.mktemp("car"))
    try:
        script = Path(__file__).with_name("in_the_car.py")
        console = [car.boot(script, *names) for names in (FIRST, SECOND, THIRD, FOURTH)]
        found = {p.stem: json.loads(p.read_text()) for p in car.results.glob("*.json")}
        return found, "\n".join(console)
    finally:
        car.close()


@pytest.fixture
def seen(booted, request):
    """What a scenario saw; its name is the test's."""
    found, console = booted
    name = request.node.originalname.removeprefix("test_")
    name = request.node.callspec.params["name"] if hasattr(request.node, "callspec") else name
    assert name in found, f"{name} did not come to an end:\n{console[-3000:]}"
    facts = found[name]
    print(json.dumps(facts, indent=2, ensure_ascii=False))
    assert "error" not in facts, facts["error"] + facts["journal"]
    return facts


def test_install(seen):
    assert "would   write /etc/systemd/system/autcar-edge.service" in seen["planned"]
    assert seen["untouched_by_dry_run"]
    assert seen["active"] == "active"
    assert "runs: default (int8, LiteRT): at rest: not armed" in seen["status"]
    assert "do      write" not in seen["again"]
    assert "do      a user" not in seen["again"]
    assert seen["verify"] == ""
    for unit in UNITS:
        print(seen["security"][unit])
        assert float(seen["security"][unit].split(": ")[1].split()[0]) <= 3.0


def test_drive(seen):
    assert not seen["moved_before_arming"]
    assert seen["updates_in_3_s"] >= 40
    assert seen["facts"]["armed"]
    assert seen["facts"]["fps"] >= 15
    assert seen["owner"] == "autcar"
    # Three seconds of driving are one line, with its reason as a field.
    assert ["default (int8, LiteRT): drives", "DRIVING"] in seen["log"]
    assert len(seen["log"]) <= 2
    assert seen["disarm"] == [False, "at rest: not armed\n"]
    assert seen["rest_ms"] <= 100
    assert seen["still_active"] == "active"


def test_priority(seen):
    assert seen["guardian"] == -10
    assert set(seen["driver"]) == {0}


@pytest.mark.parametrize(
    ("name", "within_ms", "ended"),
    [
        ("kill", 50, "signal"),
        ("kill_all", 1000, "signal"),
        ("kill_guardian", 1000, "exit-code"),
        ("hang", 300, "watchdog"),
        ("hang_all", 2000, "watchdog"),
    ],
)
def test_a_fault_ends_at_rest_and_comes_back_disarmed(seen, name, within_ms, ended):
    print(f"{name}: at rest after {seen['rest_ms']} ms, ready after {seen['ready_again_s']} s")
    assert seen["rest_ms"] <= within_ms
    assert seen["ended"] == ended
    assert seen["restarts"] == 1
    assert not seen["armed"]


def test_stop(seen):
    assert seen["rest_ms"] <= 250  # from typing `systemctl stop`
    assert seen["ended"] == "success"
    assert seen["result"] == "success"
    assert seen["state"] == "inactive"


def test_five_crashes(seen):
    assert seen["crashes"] == 5
    assert seen["state"] == "failed"
    assert "stays down after 5 failures" in seen["status"]
    assert "sudo autcar service start" in seen["status"]
    assert seen["after_start"] == "active"


def test_wrong_config(seen):
    assert seen["state"] == "failed"
    assert seen["restarts"] == 0
    assert "unknown key widht in [camera]; did you mean width?" in seen["status"]


def test_no_camera(seen):
    assert seen["state"] == "failed"
    assert seen["restarts"] == 0
    assert seen["code"] == 69
    assert "there is no camera" in seen["status"]
    assert not seen["moving"]


def test_both_services(seen):
    assert seen["rest_ms"] <= 1000
    assert seen["after_capture"] == dict(zip(UNITS, ("inactive", "active"), strict=True))
    assert seen["record"]["service"] == "record"
    assert seen["active_together"] == 1


def test_capture_hangs(seen):
    assert seen["facts"]["service"] == "record"
    assert not seen["facts"]["armed"]
    assert "open the cockpit and take the wheel" in seen["refused"]
    assert "Watchdog timeout" in seen["logs"]
    assert "ready: http://" in seen["logs"]
    assert "runs: at rest" in seen["status"]
    assert seen["stopped"][1] == "success"


def test_capture_kill(seen):
    alone, both = seen["rest_ms"]
    print(f"a person drives, killed: at rest after {alone} ms; with the guardian {both} ms")
    assert alone <= 50
    assert both <= 1000
    for before, after in seen["drivers"]:
        assert before.startswith("browser")
        assert after is None  # nobody drives until somebody takes the wheel again
    assert len(seen["frames"]) == 3
    assert min(seen["frames"]) >= 10  # of a second at 20 frames/s
    assert all("torn" in problem or "cut" in problem for problem in seen["problems"])


def test_after_reboot(seen, booted):
    assert booted[0]["arm_before_power_off"]["armed"]
    assert len(seen["active"]) == 1  # though both were enabled
    assert not seen["armed"]
    assert not seen["moving"]


def test_arm_at_boot(seen):
    assert seen["drove_off"]
    assert not seen["armed_after_crash"]


def test_models(seen):
    assert seen["first"] == "default"
    assert "ready and healthy" in seen["used"]
    assert seen["drives"] == seen["name"]
    assert "was taken back" in seen["refused"]
    assert seen["still"] == seen["name"]
    assert "ready and healthy" in seen["back"]
    assert seen["after"] == "default"
    assert not seen["trial_left"]
    assert "is not for you" in seen["stranger"]
    assert seen["friend"][0].startswith("friend-")
    assert seen["friend"][1] == "armed: it drives\n"


def test_model_hangs(seen):
    print(f"taken back after {seen['took_s']} s")
    assert "was taken back" in seen["said"]
    assert "did not become ready: loading hangs-" in seen["said"]
    assert seen["took_s"] <= 50  # a step of a start may take 30 s
    assert seen["before"] == seen["after"] == "default"
    assert not seen["armed"]
    assert not seen["trial_left"]


def test_update_by_ssh(seen):
    assert "✓ pi@car  autcar 0.1.0 runs, in slot b" in seen["said"], seen["said"]
    assert seen["slots"] == ["a", "b", "a"]
    assert seen["ready"]
    assert "✓ pi@car  autcar 0.1.0 runs, in slot a" in seen["back"], seen["back"]
    assert seen["program"].startswith("/opt/autcar/a/")
    assert "not updated, a runs on: the upload broke off" in seen["cut"]
    assert seen["left"] == []
    assert seen["after_cut"] == ["a", "current"]


def test_after_update_cut(seen, booted):
    """The power went while new software was on trial: the old one runs, and nothing is left."""
    before = booted[0]["update_before_power_off"]
    assert before["current"] == before["still"] == seen["current"]
    assert not before["tried"].startswith(before["current"])
    assert seen["program"].startswith(seen["current"])
    assert seen["drop_ins"] == []
    assert "there is no software of before" in seen["back"]
    assert seen["slots"] == [Path(seen["current"]).name, "current"]


def test_deploy_by_ssh(seen):
    assert "ready and healthy" in seen["said"], seen["said"]
    assert seen["drives"].startswith("sshed-")
    assert "✓ pi@car  drive: at rest, not armed; model sshed-" in seen["status"]
    assert "ready and healthy" in seen["back"]
    assert seen["after"] == "default"
    assert seen["left"] == []


def test_update(seen):
    assert "runs, in slot b" in seen["said"]
    assert seen["slot"] == seen["slot_after"] == "/opt/autcar/b"
    assert seen["program"].startswith("/opt/autcar/b/")
    assert "not updated, b runs on" in seen["refused"]
    assert seen["ready"]
    assert not seen["armed"]
    assert seen["started_anew"]  # the broken release was tried, and the old one came back
    assert "not updated" in seen["no_such_wheel"]
    assert seen["left"] == []


def test_after_trial(seen, booted):
    tried = booted[0]["trial_before_power_off"]
    assert seen["current"] == tried["current"] != tried["name"]
    assert seen["status"]["folder"] == "default"


def test_remove(seen):
    assert seen["left"] == []
    assert seen["units"] == ""
    assert seen["kept"]
    assert "do      delete" not in seen["again"]
