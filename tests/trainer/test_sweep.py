"""A study that is gone on with, and what is not the same study."""

import argparse

import pytest

from autcar.errors import ConfigError
from trainer.cli import add_verbs
from trainer.sweep import Sweep
from trainer.verbs.sweep import _begun

pytest.importorskip("optuna")


@pytest.fixture
def begun(tmp_path):
    """What ``autcar sweep`` begins, or goes on with, by its options."""
    parser = argparse.ArgumentParser()
    add_verbs(parser.add_subparsers())

    def sweep(*options):
        study = ("--study", tmp_path / "sweep.journal")
        words = ("sweep", "recordings", *study, *options)
        return _begun(parser.parse_args([str(word) for word in words]))

    return sweep


def test_the_same_study_is_gone_on_with_and_may_grow(begun):
    first = begun("--networks", "star", "--seed", 3, "--trials", 4)
    again = begun("--networks", "star", "--seed", 3, "--trials", 9, "--output", "models/other")
    assert (first.trials, again.trials) == (4, 9)
    assert again.settings == first.settings
    assert begun("--join").space.networks == ("star",)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--networks", "compact"), "--networks compact,star,factored"),
        (("--augments", "none,star"), "--augments none,light,default"),
        (("--size", "64x48"), "--size 224x168"),
        (("--split", "last"), "--split auto"),
        (("--seed", 1), "--seed 0"),
        (("--epochs", 30), "no --epochs"),
        (("--trial-epochs", 2, "--seed", 1), "--seed 0, --trial-epochs 6"),
    ],
)
def test_a_study_that_was_begun_with_other_options_is_refused(begun, options, named):
    first = begun("--trials", 4)
    with pytest.raises(ConfigError, match=f"begun with {named}; say the same .* another --study"):
        begun("--trials", 9, *options)
    assert Sweep.open(first.path).trials == 4
