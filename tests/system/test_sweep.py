"""Three processes on one study, one of which is killed."""

import os
import signal
import time

import optuna
import pytest

from tests.system.test_training_survives import Place, done
from trainer.sweep import NAME, Sweep, _storage

pytest.importorskip("tensorflow")

TRIALS = 6


def trials_of(path):
    return optuna.load_study(storage=_storage(path), study_name=NAME).get_trials()


def test_three_processes_share_a_study_and_none_of_its_trials_is_lost_or_doubled(tmp_path):
    place = Place(tmp_path)
    study = tmp_path / "study.journal"
    sweep = place.start(
        *("data", "--study", study, "--trials", TRIALS, "--processes", 3, "--trial-epochs", 2),
        *("--networks", "plain:build", "--augments", "none", "--epochs", 3, "--size", "64x48"),
        *("--output", "best", "--force"),
        verb="sweep",
    )
    killed = None
    until = time.monotonic() + 200
    while killed is None and sweep.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.05)
        for trial in trials_of(study) if study.exists() and study.stat().st_size else ():
            process = int(trial.user_attrs.get("worker", ":0").rpartition(":")[2])
            if process not in (0, sweep.pid) and trial.state == optuna.trial.TrialState.RUNNING:
                os.kill(process, signal.SIGKILL)
                killed = process
                break
    told = done(sweep)
    trials = trials_of(study)
    finished = [trial for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")]
    lost = [trial for trial in trials if trial.state.name == "FAIL"]
    assert killed
    assert len(finished) == TRIALS
    assert len(trials) == TRIALS + len(lost)
    assert [trial.user_attrs["worker"].endswith(f":{killed}") for trial in lost] == [True]
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert len({trial.params["learning_rate"] for trial in finished}) == TRIALS
    assert len({trial.user_attrs["worker"] for trial in trials}) >= 2

    best, score = Sweep.open(study).winner()
    assert score == max(trial.value for trial in finished if trial.value is not None)
    assert best.network == "plain:build"
    assert f"balanced accuracy {score:.3f}) is trained in full" in told
    assert (tmp_path / "best" / "manifest.json").is_file()
