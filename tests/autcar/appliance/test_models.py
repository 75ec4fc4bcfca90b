"""``autcar models``: another model drives only once its service did well with it."""

from __future__ import annotations

import json
import shutil

import pytest

from autcar import cli
from autcar.appliance import models
from autcar.appliance.control import ControlError
from autcar.appliance.model_store import SHIPPED, ModelStore, ModelStoreError, point
from autcar.appliance.models import SwitchError, switch
from autcar.bundle import shipped_bundle
from tests.autcar.appliance.conftest import put, shows, told

UNIT = "autcar-edge.service"
TAKEN_BACK = [f"reset-failed {UNIT}", f"restart {UNIT}"]


@pytest.fixture
def running(car, programs, monkeypatch):
    """A car whose service is up, with a model ``new`` on its store; yields what it answers."""
    shows(programs, ActiveState="active", StatusText="default: at rest")
    shutil.copytree(shipped_bundle(), car / "state/models/new")
    (car / "car.toml").write_text("[camera]\nfps = 20\n")
    monkeypatch.setattr(models, "HEALTHY_S", 0.02)
    facts = {"armed": False, "folder": "new", "frames": 0, "fps": 20.0}

    def ask(request):
        facts["frames"] += facts.get("a_look", 5)
        return dict(facts)

    monkeypatch.setattr("autcar.appliance.control.ask", ask)
    return facts


def test_a_model_that_does_well_drives_from_now_on(running, programs):
    assert switch("new", forced=("parity",), by="me") == (
        "new is ready and healthy; it drives from now on, once armed"
    )
    assert told(programs) == TAKEN_BACK  # the same two: started anew, once
    assert (ModelStore().current(), ModelStore().previous()) == ("new", SHIPPED)
    assert ModelStore().history()[-1]["outcome"] == "drives"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"folder": "default"}, "the service runs default instead of new"),
        ({"a_look": 0}, "has stopped looking at frames"),
        ({"a_look": -9}, "started anew by itself"),
        ({"fps": 3.0}, "only 3.0 frames a second, at least 10 are needed"),
    ],
)
def test_a_model_that_does_not_is_taken_back(running, programs, monkeypatch, wrong, why):
    monkeypatch.setattr(models, "HEALTHY_S", 1.1 if "a_look" in wrong else 0.02)
    running.update(wrong)
    with pytest.raises(SwitchError, match=f"new was taken back, shipped drives again.*{why}"):
        switch("new")
    assert told(programs) == TAKEN_BACK * 2
    assert ModelStore().current() == SHIPPED
    assert ModelStore().active() == shipped_bundle()
    assert ModelStore().history()[-1]["outcome"].startswith("taken back")


def test_a_service_that_does_not_start_is_taken_back(running, programs):
    shows(programs, ActiveState="failed", StatusText="no camera")
    script = (programs / "systemctl").read_text().removeprefix("#!/bin/sh\n")
    fails = f"{{ echo 'Job for {UNIT} failed because of a timeout.' >&2; exit 1; }}"
    put(programs, "systemctl", f"{script}\n[ $1 != restart ] || {fails}")
    with pytest.raises(SwitchError, match="did not become ready: no camera"):
        switch("new")
    assert ModelStore().current() == SHIPPED


def test_a_service_that_may_not_be_restarted_is_not_said_to_be_unready(
    running, programs, monkeypatch
):
    put(programs, "sudo", "echo 'sudo: a password is required' >&2; exit 1")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(SwitchError, match="a password is required; let this user") as refused:
        switch("new")
    assert "did not become ready" not in str(refused.value)
    assert ModelStore().current() == SHIPPED


def test_a_trial_that_is_interrupted_is_taken_back(running, programs, monkeypatch):
    def interrupted(folder):
        assert ModelStore().active().name == "new"
        raise KeyboardInterrupt

    monkeypatch.setattr(models, "_see_healthy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        switch("new")
    assert told(programs) == TAKEN_BACK * 2
    assert ModelStore().active() == shipped_bundle()


def test_during_another_trial_nothing_is_taken_back(running, programs):
    with (
        ModelStore().trial("new"),
        pytest.raises(ModelStoreError, match="another model is on trial right now; wait"),
    ):
        switch(SHIPPED)
    assert told(programs) == []
    assert ModelStore().history() == []


def test_who_may_not_write_takes_nothing_back(running, programs, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ModelStoreError, match="not yours to write; join its group"):
        switch("new")
    assert told(programs) == []
    assert ModelStore().history() == []


def test_the_old_model_starts_before_another_may_be_tried(running, programs, monkeypatch):
    restarted = []

    def systemctl(verb, *_, **__):
        if verb == "restart":
            restarted.append((ModelStore().active(), ModelStore()._trial_goes_on()))

    monkeypatch.setattr("autcar.appliance.service.systemctl", systemctl)
    monkeypatch.setattr(
        "autcar.appliance.service.health", lambda unit: {"state": "active", "status": ""}
    )
    running["fps"] = 3.0
    with pytest.raises(SwitchError, match="was taken back"):
        switch("new")
    assert restarted == [(ModelStore().find("new"), True), (shipped_bundle(), True)]


def test_a_car_that_drives_is_left_alone(running, programs):
    running["armed"] = True
    with pytest.raises(SwitchError, match="autcar service disarm"):
        switch("new")
    assert told(programs) == []


def test_with_no_service_it_is_switched_untried(car, programs, capsys):
    for name in ("one", "two"):
        shutil.copytree(shipped_bundle(), car / "state/models" / name)
    assert cli.main(["models", "rollback"]) == 2
    assert "no model drove before this one" in capsys.readouterr().err
    assert cli.main(["models", "use", "one"]) == 0
    assert "it was not tried" in capsys.readouterr().out
    assert cli.main(["models", "use", "two"]) == 0
    assert cli.main(["models", "rollback"]) == 0
    assert ModelStore().current() == "one"
    assert cli.main(["models", "remove", "one"]) == 2
    assert "`autcar models use ANOTHER` first" in capsys.readouterr().err
    assert cli.main(["models", "remove", "two"]) == 0
    assert capsys.readouterr().out == "two is gone\n"
    assert [model.name for model in ModelStore().models()] == ["one"]
    assert ModelStore().previous() is None
    assert told(programs) == []


def test_the_list_says_what_is_special_of_each(car, capsys):
    for name in ("one", "two"):
        shutil.copytree(shipped_bundle(), car / "state/models" / name)
    switch("one", forced=("parity",))
    switch("two")
    (car / "state/models/one/int8.tflite").unlink()
    point(car / "run/trial", car / "state/models/two")
    assert cli.main(["models", "list"]) == 0
    shipped, one, two = capsys.readouterr().out.splitlines()
    assert shipped.split() == ["shipped", "comes", "with", "autcar"]
    assert "the one before; forced past: parity; bundle" in one
    assert "lacks int8.tflite" in one
    assert two.startswith("* two ")
    assert two.endswith("kB; on trial")
    assert cli.main(["models", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["name"], row["current"]) for row in rows] == [("one", False), ("two", True)]


def test_whether_it_drives_cannot_be_asked_of_a_service_that_is_down(monkeypatch):
    def nobody(request):
        raise ControlError("no autcar service answers")

    monkeypatch.setattr("autcar.appliance.control.ask", nobody)
    models.refuse_while_driving()
