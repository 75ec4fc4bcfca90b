"""What the car answers a workstation, without ssh between them."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
from types import SimpleNamespace

import pytest

from autcar import cli
from autcar.appliance.car_side import DIGESTS
from autcar.appliance.control import Control
from autcar.appliance.model_store import SHIPPED, ModelStore, pack
from autcar.bundle import shipped_bundle


@pytest.fixture
def asked(car, monkeypatch, capfdbinary):
    """Ask the car's side: its exit code, what it prints, what it complains."""

    def ask(*words, feed=b""):
        text = io.TextIOWrapper(io.BytesIO(feed))
        monkeypatch.setattr(sys, "stdin", text)
        code = cli.main(["car-side", *words])
        sys.stdout.flush()
        said, complaint = capfdbinary.readouterr()
        return code, said, complaint.decode()

    return ask


def uploaded(folder=None):
    stream = io.BytesIO()
    pack(folder or shipped_bundle(), stream)
    return stream.getvalue()


def test_the_facts_of_a_car_at_rest_and_of_one_that_runs(asked, car):
    code, said, _ = asked("facts")
    facts = json.loads(said)
    assert code == 0
    assert (facts["model"], facts["previous"], facts["running"]) == (SHIPPED, None, {})
    assert facts["camera"] == [224, 168, 20.0]
    assert facts["services"] == {"drive": "inactive (dead)", "record": "inactive (dead)"}
    assert facts["free_mb"] > 0
    (car / "car.toml").write_text('[car]\nname = "red"\n[camera]\nfps = 30\n')
    with Control(lambda request: {"armed": request != "status"}, car / "run"):
        facts = json.loads(asked("facts")[1])
    assert (facts["car"], facts["camera"][2]) == ("red", 30.0)
    assert facts["running"] == {"armed": False}


def test_a_bundle_is_taken_and_used(asked, car):
    code, said, _ = asked("receive", feed=uploaded())
    name = json.loads(said)["name"]
    assert code == 0
    assert ModelStore().current() == SHIPPED
    code, said, _ = asked("use", name, "--forced", "parity", "--by", "me@here")
    assert code == 0
    assert "was not tried" in json.loads(said)["said"]
    assert ModelStore().current() == name
    (entry,) = ModelStore().history()
    assert (entry["forced"], entry["by"]) == (["parity"], "me@here")


def test_a_bundle_that_is_cut_is_refused_in_a_sentence(asked, car):
    code, said, complaint = asked("receive", feed=uploaded()[:5000])
    assert (code, said) == (2, b"")
    assert complaint.startswith("autcar: the upload broke off")
    assert list((car / "state/models").iterdir()) == []


def test_recordings_are_offered_and_sent_with_their_digests(asked, car, make_session):
    there = car / "state/recordings/lap"
    shutil.copytree(make_session(frames=3), there)
    (there / ".half.part").touch()
    (car / "state/secret").write_text("key")
    offered = json.loads(asked("offer")[1])
    assert sorted(offered) == [
        *(f"lap/images/{number:08d}.jpg" for number in range(3)),
        "lap/session.json",
        "lap/training.csv",
    ]
    size, time_ns = offered["lap/training.csv"]
    assert size == (there / "training.csv").stat().st_size
    assert time_ns == (there / "training.csv").stat().st_mtime_ns
    wanted = "lap/training.csv\n../secret\nlap/gone.jpg\n/etc/passwd\n"
    code, said, _ = asked("send", feed=wanted.encode())
    assert code == 0
    with tarfile.open(fileobj=io.BytesIO(said)) as tar:
        assert tar.getnames() == ["lap/training.csv", DIGESTS]
        assert list(json.load(tar.extractfile(DIGESTS))) == ["lap/training.csv"]


def test_software_is_taken_by_root_alone(asked, monkeypatch):
    calls = []
    slots = SimpleNamespace(
        back=lambda: "back",
        receive=lambda stream, what, alone: calls.append((stream.read(), what, alone)) or "new",
    )
    monkeypatch.setattr("autcar.appliance.slots.Slots", lambda: slots)
    assert json.loads(asked("update", "--back")[1]) == {"said": "back"}
    assert json.loads(asked("update", "--what", "x.whl", "--alone", feed=b"wheels")[1]) == {
        "said": "new"
    }
    assert calls == [(b"wheels", "x.whl", True)]

    def become(program, command):
        raise PermissionError(f"{program}: {command[:2]}")

    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.execvp", become)
    code, _, complaint = asked("update", "--back")
    assert code == 1
    assert "sudo: ['sudo', '-n']" in complaint
    assert len(calls) == 1
