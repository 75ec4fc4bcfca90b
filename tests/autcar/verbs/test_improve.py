"""``autcar improve``: what a round gathers, and rounds that are interrupted and gone on with."""

import json
import shlex
from dataclasses import replace

import pytest

from autcar.cli import main
from autcar.commands import STOP, Command
from autcar.config import Config
from autcar.errors import DataError
from autcar.recording.session import read_session
from autcar.simulator import unseen
from autcar.simulator.expert import Expert
from autcar.verbs import improve
from autcar.verbs.improve import gather_corrections
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


ROUND = {
    "frames": 100,
    "takeovers": 3,
    "accuracy": 0.9,
    "tracks": 2,
    "metres": 10.0,
    "left_track": 2,
    "stood": 0,
    "stopped": 1,
    "clean_tracks": 0,
    "failures": 3,
    "train_s": 1.0,
}


@pytest.fixture
def rounds(tmp_path, monkeypatch):
    """Run the verb with rounds that take no time: each gets 2 m farther; what they did."""
    done = []

    def one(config, plan, folder, number, progress):
        if number == rounds.interrupted:
            raise KeyboardInterrupt
        done.append((number, config.simulator.difficulty))
        return {**ROUND, "round": number, "metres_between": 2.0 * number * rounds.better}

    def rounds(*options):
        done.clear()
        return main(["improve", "--output", str(tmp_path / "improve"), *options])

    rounds.done, rounds.interrupted, rounds.better = done, None, 1
    monkeypatch.setattr(improve, "_round", one)
    return rounds


def test_rounds_end_with_a_table_and_the_best_one(rounds, tmp_path, capsys):
    assert rounds("--rounds", "2", "--difficulty", "0.5", "--json") == 0
    assert rounds.done == [(0, 0.5), (1, 0.5), (2, 0.5)]
    *_, before, last = capsys.readouterr().out.splitlines()
    assert before == f"next: autcar drive --bundle {tmp_path / 'improve/round_2/bundle'}"
    facts = json.loads(last)
    assert facts["plan"]["difficulty"] == 0.5
    assert facts["rounds"] == json.loads((tmp_path / "improve/improve.json").read_text())
    assert [found["round"] for found in facts["rounds"]] == [0, 1, 2]


def test_rounds_that_got_no_farther_are_a_failure(rounds):
    rounds.better = -1
    assert rounds("--rounds", "1") == 1


def test_what_ctrl_c_ended_is_kept_and_gone_on_with(rounds, capsys):
    rounds.interrupted = 2
    assert rounds("--rounds", "3") == 130
    said = capsys.readouterr()
    assert "go on with: autcar improve --output" in said.out
    assert said.err == "autcar: interrupted\n"
    rounds.interrupted = None
    assert rounds("--rounds", "3") == 0
    assert [number for number, _ in rounds.done] == [2, 3]
    assert "going on after round 1" in capsys.readouterr().out


def test_what_ctrl_c_ended_is_gone_on_with_by_the_command_that_it_tells(
    rounds, tmp_path, monkeypatch, capsys
):
    (tmp_path / "my car.toml").write_text("[camera]\nwidth = 64\nheight = 48\n")
    monkeypatch.chdir(tmp_path)
    rounds.interrupted = 1
    asked = ("--difficulty", "0.5", "--frames", "40", "--seconds", "9", "--config", "my car.toml")
    assert rounds(*asked, "--json") == 130
    (told,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("go on with: ")]
    _, *words = shlex.split(told.removeprefix("go on with: "))
    assert words[-1] == "--json"
    assert not {"--rounds", "--seed", "--tracks"} & set(words)
    rounds.interrupted = None
    rounds.done.clear()
    assert main(words) == 0
    assert rounds.done == [(number, 0.5) for number in (1, 2, 3, 4)]


def test_a_folder_of_another_plan_or_of_something_else_is_refused(rounds, tmp_path, capsys):
    assert rounds("--rounds", "0") == 1
    assert rounds("--rounds", "1", "--seed", "5", "--epochs", "9") == 2
    said = capsys.readouterr().err
    assert "was begun with epochs 8, seed 0; say the same, or another --output" in said
    (tmp_path / "improve/improve.json").write_text("{")
    assert rounds() == 2
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "improve/plan.json").unlink()
    assert rounds() == 2
    assert "was not made by improve; give another --output" in capsys.readouterr().err
    assert rounds.done == []


def test_only_the_simulated_car_has_an_expert(rounds, tmp_path, capsys):
    (tmp_path / "car.toml").write_text('[camera]\ndriver = "opencv"\n')
    assert rounds("--config", str(tmp_path / "car.toml")) == 2
    assert "the expert knows only the simulated car" in capsys.readouterr().err
    assert not (tmp_path / "improve").exists()


def test_a_round_without_its_run_is_named(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(DataError, match=r"has no run; remove it from improve\.json"):
        improve._only_run(tmp_path)
