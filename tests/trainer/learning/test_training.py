import numpy as np
import pytest

from autcar.errors import DataError
from tests.trainer.columns import Columns, Lines, network
from trainer.learning.schedule import Schedule
from trainer.learning.training import fit, predict, seed_everything
from trainer.networks import precision


def trained(schedule, training=None, validation=None, seed=0, progress=None):
    seed_everything(seed)
    model = network()
    training, validation = training or Columns(), validation or Columns(40, seed=1)
    return model, fit(model, training, validation, schedule, progress or Lines())


def test_it_learns_and_reports_training_and_validation():
    told = Lines()
    model, history = trained(Schedule(epochs=6, learning_rate=5e-3), progress=told)
    assert history.epochs[history.best - 1].val_accuracy > 0.95
    assert history.epochs[-1].loss < history.epochs[0].loss
    assert len(told.lines) == 6
    assert "validation" in told.lines[0]
    assert "images/s" in told.lines[0]
    assert {what for what, _, _ in told.steps} >= {
        "epoch 1 of 6, training",
        "epoch 6 of 6, validation",
    }
    scores, truth = predict(model, Columns(40, seed=1), Lines())
    assert scores.shape == (40, 4)
    assert (scores.argmax(1) == truth).mean() > 0.95


def test_the_same_seed_gives_the_same_weights_and_another_does_not():
    weights = [trained(Schedule(epochs=2), seed=seed)[0].get_weights() for seed in (5, 5, 6)]
    for first, second in zip(weights[0], weights[1], strict=True):
        np.testing.assert_array_equal(first, second)
    assert any((a != b).any() for a, b in zip(weights[0], weights[2], strict=True))


class Worse(Columns):
    """Validation that turns its labels from an epoch on, so that it gets worse."""

    def __init__(self, since):
        super().__init__(40, seed=1)
        self.since = since

    def epoch(self, epoch):
        for images, labels in super().epoch(epoch):
            yield images, labels if epoch < self.since else (3 - labels).astype(np.int16)


def test_it_ends_after_patience_worse_validations_with_the_best_weights():
    schedule = Schedule(epochs=20, patience=3, min_epochs=1)
    model, history = trained(schedule, validation=Worse(since=4))
    assert history.best == 3
    assert len(history.epochs) == 6
    assert "3 epochs" in history.ended
    scores, truth = predict(model, Columns(40, seed=1), Lines())
    kept = history.epochs[2].val_accuracy
    assert (scores.argmax(1) == truth).mean() == pytest.approx(kept)


def test_it_never_ends_before_the_least_number_of_epochs():
    schedule = Schedule(epochs=9, patience=1, min_epochs=5)
    _, history = trained(schedule, validation=Worse(since=2))
    assert len(history.epochs) == 5


def test_keep_last_lets_validation_decide_nothing():
    schedule = Schedule(epochs=4, patience=1, min_epochs=1, keep="last")
    _, history = trained(schedule, validation=Worse(since=2))
    assert len(history.epochs) == history.best == 4


def test_a_loss_that_is_no_number_stops_and_names_the_batch():
    named = r"epoch 1 of 3, training: the loss of batch \d of 3 is (nan|inf)"
    with pytest.raises(DataError, match=named):
        trained(Schedule(epochs=3, learning_rate=1e38))


def interrupt_at(epoch, batch):
    def hook(now_epoch, now_batch):
        if (now_epoch, now_batch) == (epoch, batch):
            raise KeyboardInterrupt

    return Columns(hook=hook)


def test_ctrl_c_keeps_the_best_epoch_so_far():
    _, history = trained(Schedule(epochs=9), training=interrupt_at(3, 1))
    assert history.ended == "interrupted"
    assert len(history.epochs) == 2


def test_ctrl_c_before_the_first_epoch_is_done_interrupts():
    with pytest.raises(KeyboardInterrupt):
        trained(Schedule(epochs=9), training=interrupt_at(1, 1))


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_half_precision_learns_as_well_with_whole_weights(name):
    seed_everything(0)
    with precision(name):
        model = network()
    history = fit(
        model, Columns(), Columns(40, seed=1), Schedule(epochs=6, learning_rate=5e-3), Lines()
    )
    assert history.epochs[history.best - 1].val_accuracy > 0.95
    assert {str(weights.dtype) for weights in model.get_weights()} == {"float32"}
