import os

import numpy as np
import pytest

from autcar.errors import DataError, TrainingError
from tests.trainer.columns import Columns, Lines, network
from trainer.learning.checkpoint import Checkpoint, Saved
from trainer.learning.history import Epoch, History
from trainer.learning.schedule import Schedule
from trainer.learning.training import fit, seed_everything


def saved(value, size=10):
    history = History([Epoch(1, {"loss": 0.5, "val_loss": 0.25}, 900.0, 1.5)], 1)
    return Saved(history, [np.full(size, value)], [np.full((2, 2), value), np.array(3)])


def test_what_was_saved_comes_back_and_the_last_one_counts(tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz")
    assert checkpoint.load() is None
    checkpoint.save(saved(1.0))
    checkpoint.save(saved(2.0))
    found = checkpoint.load()
    assert found.history == saved(0).history
    np.testing.assert_array_equal(found.state[0], saved(2.0).state[0])
    assert [array.shape for array in found.best] == [(2, 2), ()]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_a_full_disk_is_told_and_leaves_the_one_before_whole(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz")
    checkpoint.save(saved(1.0))

    def full(descriptor):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match=r"No space left.*autcar train --resume"):
        checkpoint.save(saved(2.0))
    assert checkpoint.load().state[0][0] == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_a_damaged_file_is_named(tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz")
    checkpoint.save(saved(1.0))
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"checkpoint.npz is damaged"):
        checkpoint.load()


class Killed(BaseException):
    pass


def killed_at(epoch, batch):
    def hook(now_epoch, now_batch):
        if (now_epoch, now_batch) == (epoch, batch):
            raise Killed

    return Columns(hook=hook)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_what_goes_on_in_mid_epoch_ends_as_if_never_cut_short(tmp_path, optimizer):
    """Dropout, batch normalisation, the optimizer's momenta and a rate by plateaus included."""
    schedule = Schedule(epochs=4, optimizer=optimizer, shape="plateau", patience=2)

    def run(name, training):
        seed_everything(3)
        model = network()
        checkpoint = Checkpoint(tmp_path / name)
        validation = Columns(40, seed=1)
        history = fit(model, training, validation, schedule, Lines(), checkpoint=checkpoint)
        return [epoch.figures for epoch in history.epochs], model.get_weights()

    figures, weights = run("whole", Columns())
    with pytest.raises(Killed):
        run("cut", killed_at(3, 1))
    again, weights_again = run("cut", Columns())
    assert again == figures
    for one, other in zip(weights, weights_again, strict=True):
        np.testing.assert_array_equal(one, other)
    finished, _ = run("cut", Columns())
    assert finished == figures


def test_an_epoch_is_told_of_once_it_is_saved(tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz")

    class Watching(Lines):
        def say(self, text):
            super().say(text)
            saved_epochs.append(len(checkpoint.load().history.epochs))

    saved_epochs, told = [], Watching()
    schedule = Schedule(epochs=2)
    fit(network(), Columns(), Columns(40, seed=1), schedule, told, checkpoint=checkpoint)
    assert [line[:8] for line in told.lines] == ["epoch  1", "epoch  2"]
    assert saved_epochs == [1, 2]


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz")
    checkpoint.save(saved(1.0))
    with pytest.raises(DataError, match="another network or optimizer"):
        fit(network(), Columns(), Columns(), Schedule(epochs=2), Lines(), checkpoint=checkpoint)
