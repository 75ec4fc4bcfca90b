"""Training unattended: what it changes when it stalls, what it keeps, what it survives."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import trainer.auto as auto
from autcar.errors import DataError, TrainingError
from trainer.auto import STATE, Plan, train_unattended
from trainer.data.augmentation import parse_augmentation
from trainer.learning.checkpoint import Saved
from trainer.learning.history import History
from trainer.learning.schedule import Schedule
from trainer.run_folder import RunFolder
from trainer.settings import Settings


@pytest.fixture
def plan(tmp_path):
    settings = Settings(
        data=("data",),
        output=tmp_path / "models" / "mine",
        schedule=Schedule(learning_rate=1e-3, until="accuracy=0.9"),
        batch_size=32,
        augment="none",
    )
    return Plan(settings, tmp_path / "auto", restarts=5)


@pytest.fixture
def trained(monkeypatch):
    """Stands in for the process that trains: gives each attempt the accuracy that is told."""

    def tell(*accuracies):
        left = list(accuracies)
        seen = []

        def child(plan, path, say):
            run = RunFolder.open(path)
            seen.append(run.settings)
            accuracy = left.pop(0)
            if isinstance(accuracy, int):
                return accuracy, "was ended"
            bundle = run.settings.output
            bundle.mkdir(parents=True)
            (bundle / "manifest.json").write_text(str(accuracy))
            ended = "reached" if accuracy >= 0.9 else "no better for 5 epochs"
            epochs = [{"val_accuracy": accuracy / 2}, {"val_accuracy": accuracy}]
            summary = {"history": {"epochs": epochs, "best": 2, "ended": ended}}
            (path / "summary.json").write_text(json.dumps(summary))
            return 0, "ended"

        monkeypatch.setattr(auto, "_child", child)
        return seen

    return tell


class Data:
    """As much of a dataset as is asked for."""

    def __init__(self, classes, name):
        self.classes, self.name = range(classes), name

    def digest(self):
        return f"{self.name} {len(self.classes)}"

    def first_classes(self, count):
        return Data(count, self.name)


def run(plan, name="abc", classes=12):
    lines = []
    return train_unattended(plan, Data(classes, name), lines.append), lines


def test_one_attempt_is_enough_where_it_reaches_the_level(plan, trained):
    seen = trained(0.95)
    state, lines = run(plan)
    assert state.done == "reached"
    assert len(seen) == 1
    assert (plan.settings.output / "manifest.json").read_text() == "0.95"
    assert "reached in 1 attempts" in lines[-1]
    assert (plan.folder / "training.png").stat().st_size > 1000


def test_a_stall_is_followed_by_another_attempt_from_the_best_with_one_thing_changed(
    plan, trained
):
    seen = trained(0.4, 0.6, 0.5, 0.7, 0.93)
    state, _ = run(plan)
    assert [s.start for s in seen] == [None, *[plan.folder / "best"] * 4]
    assert [(s.augment_factor, s.batch_size, s.schedule.learning_rate) for s in seen] == [
        (1, 32, 1e-3),
        (3, 32, 1e-3),  # more augmented copies
        (3, 16, 1e-3),  # another batch: worse, so it is given up
        (3, 32, 5e-4),  # a lower rate
        (7, 32, 5e-4),  # more copies again
    ]
    copies = parse_augmentation(seen[1].augment)
    assert (copies.rotation, copies.degrees) == (0.5, 6.0)
    assert (copies.shift, copies.shift_x, copies.shift_y) == (0.6, 0.08, 0.08)
    assert (copies.zoom, copies.zoom_size) == (0.3, 0.1)
    assert (copies.mirror, copies.brightness) == (0, 0)
    assert state.best == 5
    assert state.done == "reached"


@pytest.mark.parametrize("text", ["default,mirror=0,degrees=2", "mirror=0,degrees=2,noise=0.4"])
def test_copies_keep_the_values_that_were_asked_for(plan, trained, text):
    seen = trained(0.4, 0.95)
    run(replace(plan, settings=replace(plan.settings, augment=text)))
    copies = parse_augmentation(seen[1].augment)
    assert (copies.mirror, copies.degrees, copies.noise) == (0, 2, 0.4)
    assert (copies.rotation, copies.shift, copies.zoom) == (0.5, 0.6, 0.3)


def aim(plan, goal):
    return replace(
        plan,
        settings=replace(plan.settings, schedule=replace(plan.settings.schedule, until=goal)),
    )


def test_a_higher_goal_is_judged_anew_and_gone_on_for(plan, trained):
    trained(0.903)
    assert run(plan)[0].done == "reached"
    seen = trained(0.92, 0.96)
    state, lines = run(aim(plan, "accuracy=0.95"))
    assert [one.start for one in seen] == [plan.folder / "best"] * 2
    assert "accuracy=0.95 reached in 3 attempts: attempt 3 has 0.960" in lines[-1]
    assert [one.reached for one in state.attempts] == [False, False, True]
    # A goal that the best one meets asks for no further attempt.
    trained()
    state, lines = run(aim(plan, "val_accuracy=0.9"))
    assert state.done == "reached"
    assert "reached in 3 attempts: attempt 3" in lines[-1]


def test_a_run_begun_for_a_lower_goal_is_held_to_the_higher_one(plan, trained):
    trained(130)
    with pytest.raises(KeyboardInterrupt):
        run(plan)
    RunFolder.open(plan.folder / "latest").checkpoint.save(Saved(History(), [], []))
    seen = trained(0.91, 0.96)
    state, _ = run(aim(plan, "accuracy=0.95"))
    assert [one.schedule.until for one in seen] == ["accuracy=0.9", "accuracy=0.95"]
    assert [one.reached for one in state.attempts] == [False, True]


def test_the_accuracy_is_that_of_the_epoch_that_was_packed(plan, monkeypatch):
    def child(plan, path, say):
        (RunFolder.open(path).settings.output).mkdir()
        epochs = [{"val_accuracy": 0.6, "val_loss": 0.5}, {"val_accuracy": 0.7, "val_loss": 0.9}]
        summary = {"history": {"epochs": epochs, "best": 1, "ended": "all epochs done"}}
        (path / "summary.json").write_text(json.dumps(summary))
        return 0, "ended"

    monkeypatch.setattr(auto, "_child", child)
    state, lines = run(replace(plan, restarts=0))
    assert state.attempts[0].accuracy == 0.6
    assert state.attempts[0].figures == {"accuracy": 0.6, "loss": 0.5}
    assert "attempt 1 has 0.600" in lines[-1]
    assert run(aim(plan, "loss=0.5"))[0].done == "reached"


def test_only_the_best_and_the_latest_are_kept(plan, trained):
    trained(0.5, 0.8, 0.6, 0.7, 0.75, 0.65)
    state, lines = run(plan)
    assert state.done == "restarts used up"
    assert "NOT reached in 6 attempts: attempt 2 has 0.800" in lines[-1]
    assert sorted(path.name for path in plan.folder.iterdir()) == [
        "best",
        "latest",
        "training.png",
        STATE,
    ]
    assert (plan.folder / "best" / "mine" / "manifest.json").read_text() == "0.8"
    assert (plan.settings.output / "manifest.json").read_text() == "0.8"
    told = json.loads((plan.folder / STATE).read_text())
    assert [one["accuracy"] for one in told["attempts"]] == [0.5, 0.8, 0.6, 0.7, 0.75, 0.65]


def test_a_run_that_is_killed_goes_on_and_one_that_always_dies_is_given_up(plan, trained):
    trained(-9, -9, 0.95)
    state, lines = run(plan)
    assert state.attempts[0].deaths == 2
    assert "attempt 1 was ended after 0 epochs; it goes on from there" in lines
    assert state.done == "reached"

    other = replace(plan, folder=plan.folder.with_name("other"))
    trained(-9, -9, -9)
    with pytest.raises(TrainingError, match=r"3 times; read .*train\.log"):
        run(other)


def test_the_same_command_goes_on_where_it_was_ended(plan, trained):
    trained(0.5, 130)
    with pytest.raises(KeyboardInterrupt):
        run(plan)
    seen = trained(0.95)
    state, lines = run(plan)
    assert lines[0] == "goes on with attempt 2"
    assert [one.accuracy for one in state.attempts] == [0.5, 0.95]
    assert seen[0].augment_factor == 3


def test_a_mistake_that_was_mended_is_not_made_again(plan, trained):
    wrong = replace(plan, settings=replace(plan.settings, start=Path("runs/typo"), seed=1))
    trained(2)
    with pytest.raises(TrainingError, match="say the same command again"):
        run(wrong)
    right = replace(plan, settings=replace(plan.settings, start=Path("runs/right"), seed=2))
    seen = trained(0.95)
    state, _ = run(right)
    assert [(one.start, one.seed) for one in seen] == [(Path("runs/right"), 2)]
    assert len(state.attempts) == 1


def test_a_bundle_that_was_there_before_stays(plan, trained):
    plan = replace(plan, settings=replace(plan.settings, keep_earlier=True))
    plan.settings.output.mkdir(parents=True)
    (plan.settings.output / "manifest.json").write_text("earlier")
    trained(0.95)
    _, lines = run(plan)
    kept = plan.settings.output.with_name("mine_1")
    assert (kept / "manifest.json").read_text() == "earlier"
    assert f"the earlier {plan.settings.output} is now {kept}" in lines


def test_other_data_is_not_mixed_in(plan, trained):
    trained(0.95)
    run(plan)
    with pytest.raises(DataError, match="other data"):
        run(plan, name="def")


def test_classes_are_learnt_in_batches_each_from_the_last(plan, trained):
    seen = trained(0.95, 0.5, 0.92, 0.97, 0.91)
    state, _ = run(replace(plan, class_batch=15, class_offset=10), classes=60)
    assert [s.first_classes for s in seen] == [25, 40, 40, 55, 60]
    assert state.attempts[-1].change == "60 of 60 classes"


def test_a_process_that_says_nothing_is_ended(plan, monkeypatch, tmp_path):
    sleeper = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"]
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **kept: popen(sleeper, **kept))
    lines = []
    code, why = auto._child(replace(plan, hang_s=1.0), Path("nowhere"), lines.append)
    assert code == -signal.SIGKILL
    assert why == "said nothing for 1 s"
    assert lines == ["begun"]
