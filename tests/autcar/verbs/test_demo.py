"""``autcar demo`` around its training: what it records, drives, says and leaves."""

import json
from types import SimpleNamespace

import pytest

from autcar.bundle import load_bundle, shipped_bundle
from autcar.cli import main
from autcar.errors import DataError
from autcar.recording.session import read_session
from autcar.verbs import demo


@pytest.fixture
def trained(monkeypatch):
    """A demo of one short track, whose training has the shipped bundle as its result."""
    pytest.importorskip("matplotlib", reason="the report's; install autcar[workstation]")
    parity = SimpleNamespace(agreement=0.99, keras_accuracy=0.9, accuracy=0.89)
    result = SimpleNamespace(
        bundle=load_bundle(shipped_bundle()),
        parity={"int8": parity},
        evaluation=SimpleNamespace(accuracy=0.9, balanced_accuracy=0.8),
        latency_ms={"int8": 0.16},
        seconds={"train": 1.0},
        given=None,
    )

    def train(folder, bundle, size, seed, progress):
        result.given = (bundle, seed)
        return result

    monkeypatch.setattr("trainer.quiet.import_tensorflow", lambda: None)
    monkeypatch.setattr(demo, "_train", train)

    def write_report(folder, result, drives, seconds):
        result.drives = drives
        return folder / "report.html"

    monkeypatch.setattr("trainer.report.demo_report.write_report", write_report)
    small = demo._Size((1,), 20, (101, 102), 2.0, 1)
    monkeypatch.setattr(demo, "_QUICK", small)
    monkeypatch.setattr(demo, "_Size", lambda: small)
    return result


def test_it_records_drives_what_it_never_saw_and_tells(trained, tmp_path, capsys):
    folder = tmp_path / "demo"
    assert main(["demo", "--quick", "--output", str(folder), "--seed", "7"]) == 0
    assert trained.given == (folder / "bundle", 7)
    (session,) = (folder / "recordings").iterdir()
    assert len(read_session(session).records) == 20
    first, last = trained.drives
    assert (first.seed, first.difficulty, last.difficulty) == (101, 0.0, 1.0)
    assert first.pilot.distance > 0.5
    assert len(first.thoughts) == demo.THOUGHTS_EACH
    said = capsys.readouterr().out
    assert "always straight" in said
    facts = json.loads(said.splitlines()[-1])
    assert facts == json.loads((folder / "demo.json").read_text())
    assert (facts["tracks"], facts["int8_accuracy_loss"]) == (2, 0.01)


def test_a_whole_demo_that_drives_too_few_tracks_well_has_failed(trained, tmp_path):
    bundle = tmp_path / "mine"
    assert main(["demo", "--output", str(tmp_path / "demo"), "--bundle", str(bundle)]) == 1
    assert trained.given == (bundle, 0)


def test_only_a_demos_own_folder_is_replaced(tmp_path):
    first = demo._fresh_folder(tmp_path / "demo")
    (first / "old.png").touch()
    assert not (demo._fresh_folder(first) / "old.png").exists()
    with pytest.raises(DataError, match="was not made by a demo"):
        demo._fresh_folder(tmp_path)
