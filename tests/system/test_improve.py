"""``autcar improve``: rounds that can be interrupted and gone on with, and what they gather."""

import json
from dataclasses import replace

import pytest

from autcar.cli import main
from autcar.commands import STOP, Command
from autcar.config import Config
from autcar.improve import gather_corrections, table
from autcar.session import read_session
from autcar.simulator import unseen
from autcar.simulator.expert import Expert
from edge.pilots import ConstantDecider, DecidingPilot

CONFIG = replace(
    Config(),
    simulator=replace(Config().simulator, difficulty=0.5),
    camera=replace(Config().camera, width=64, height=48),
)
STRAIGHT = DecidingPilot(ConstantDecider(Command("move", "medium", "forward")))


def test_a_pilot_that_errs_is_corrected_and_helped(tmp_path):
    frames, takeovers = gather_corrections(CONFIG, STRAIGHT, tmp_path, 7, 150)
    (folder,) = tmp_path.iterdir()
    records = read_session(folder).records
    assert len(records) == frames == 150
    assert takeovers >= 1
    sources = [record.source for record in records]
    assert set(sources) == {"expert", "takeover"}
    # Mostly frames where straight on is wrong, labelled with what is right.
    wrong = [r for r in records if r.command != Command("move", "medium", "forward")]
    assert len(wrong) > 75


def test_a_pilot_that_stands_is_helped_on(tmp_path):
    _, takeovers = gather_corrections(
        CONFIG, DecidingPilot(ConstantDecider(STOP)), tmp_path, 7, 150
    )
    assert takeovers >= 1


def test_a_pilot_that_never_errs_comes_to_an_end(tmp_path, monkeypatch):
    class Cheat:
        """Knows the world that it drives in."""

        def __init__(self, world):
            Cheat.expert = DecidingPilot(Expert(world))

    made = unseen.varied_world

    def spy(config, seed):
        world = made(config, seed)
        Cheat(world)
        return world

    monkeypatch.setattr(unseen, "varied_world", spy)

    class Pilot:
        def scores(self, frame):
            return Cheat.expert.scores(frame)

    frames, takeovers = gather_corrections(CONFIG, Pilot(), tmp_path, 7, 20)
    assert 10 <= frames <= 20
    assert takeovers == 0
    (drive,) = unseen.drive_unseen(CONFIG, Pilot().scores, tracks=1, seconds=10.0)
    assert (round(drive.seconds), drive.failure) == (10, "")
    assert drive.metres > 3


def run(folder, rounds, *options):
    config = folder.parent / "car.toml"
    config.write_text("[camera]\nwidth = 64\nheight = 48\n")
    small = "--frames 700 --corrections 100 --epochs 1 --tracks 2 --seconds 3 --difficulty 0.5"
    where = ("--config", str(config), "--output", str(folder))
    return main(["improve", *where, "--rounds", str(rounds), *small.split(), *options])


def test_rounds_go_on_where_they_ended(tmp_path, capsys):
    pytest.importorskip("tensorflow")
    folder = tmp_path / "improve"
    assert run(folder, 0) in (0, 1)
    first = json.loads((folder / "improve.json").read_text())
    # What an interrupted round left behind is done anew.
    (folder / "round_1" / "recordings" / "torn").mkdir(parents=True)
    assert run(folder, 1, "--json") in (0, 1)
    rounds = json.loads((folder / "improve.json").read_text())
    assert rounds[0] == first[0]
    assert [found["round"] for found in rounds] == [0, 1]
    assert rounds[1]["frames"] == 100
    assert (folder / "round_1" / "bundle" / "manifest.json").is_file()
    said = capsys.readouterr().out
    assert "going on after round 0" in said
    assert table(rounds).splitlines()[-1] in said
    assert run(folder, 1, "--seed", "5") == 2
    assert "was begun with seed 0" in capsys.readouterr().err
