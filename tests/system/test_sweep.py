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
GATE = """
import os
import sys
import time
import plain

def build(height, width, classes):
    # The first helper is caught here, in the middle of its trial; the others wait for that,
    # as one quick process could do all trials before a helper has begun one.
    if "--join" in sys.argv:
        try:
            os.symlink(str(os.getpid()), "caught")
        except FileExistsError:
            pass
        else:
            time.sleep(600)
    while not os.path.lexists("caught"):
        time.sleep(0.02)
    return plain.build(height, width, classes)
"""


def trials_of(path):
    return optuna.load_study(storage=_storage(path), study_name=NAME).get_trials()


def test_three_processes_share_a_study_and_none_of_its_trials_is_lost_or_doubled(tmp_path):
    place = Place(tmp_path)
    (tmp_path / "gate.py").write_text(GATE)
    study = tmp_path / "study.journal"
    sweep = place.start(
        *("data", "--study", study, "--trials", TRIALS, "--processes", 3, "--trial-epochs", 2),
        *("--networks", "gate:build", "--augments", "none", "--epochs", 3, "--size", "64x48"),
        *("--output", "best", "--force"),
        verb="sweep",
    )
    caught = tmp_path / "caught"
    until = time.monotonic() + 200
    while not caught.is_symlink():
        assert sweep.poll() is None, sweep.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    killed = int(caught.readlink().name)
    os.kill(killed, signal.SIGKILL)
    told = done(sweep)
    trials = trials_of(study)
    finished = [trial for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")]
    lost = [trial for trial in trials if trial.state.name == "FAIL"]
    assert len(finished) == TRIALS
    assert len(trials) == TRIALS + len(lost)
    assert [trial.user_attrs["worker"].endswith(f":{killed}") for trial in lost] == [True]
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert len({trial.params["learning_rate"] for trial in finished}) == TRIALS
    assert len({trial.user_attrs["worker"] for trial in trials}) >= 2

    best, score = Sweep.open(study).winner()
    assert score == max(trial.value for trial in finished if trial.state.name == "COMPLETE")
    assert best.network == "gate:build"
    assert f"balanced accuracy {score:.3f}) is trained in full" in told
    assert (tmp_path / "best" / "manifest.json").is_file()
