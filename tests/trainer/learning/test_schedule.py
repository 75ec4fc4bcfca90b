import pytest

from autcar.errors import ConfigError
from trainer.learning.schedule import Level, Schedule, learning_rate


def test_the_rate_warms_up_and_falls_to_nearly_nothing():
    schedule = Schedule(epochs=10, learning_rate=1.0)
    rates = [learning_rate(schedule, done) for done in (0, 0.25, 0.5, 5, 9.9)]
    assert rates[0] < 0.05 < rates[1] < rates[2]
    assert rates[2] > 0.95
    assert rates[2] > rates[3] > rates[4]
    assert 0 < rates[4] < 0.02


def test_few_frames_are_shown_more_often_than_many():
    asked = [Schedule().settled(batches).epochs for batches in (1, 200, 5000)]
    assert asked == [40, 15, 8]
    assert Schedule(epochs=3).settled(5000).epochs == 3


def test_a_constant_rate_stays_and_a_stepped_one_falls_twice():
    asked = {"epochs": 8, "learning_rate": 1.0}
    constant = Schedule(shape="constant", **asked)
    assert [learning_rate(constant, done) for done in (0.5, 7.9)] == [1, 1]
    step = Schedule(shape="step", warm_up=0, **asked)
    assert [learning_rate(step, done) for done in (0, 3.9, 4, 6)] == [1, 1, 0.1, 0.01]


def test_a_plateau_halves_the_rate_each_time_validation_stays():
    schedule = Schedule(epochs=20, learning_rate=1.0, shape="plateau", patience=4, warm_up=0)
    losses = [3.0, 2.0, 2.1, 2.2, 2.3, 2.4, 1.0]
    rates = [learning_rate(schedule, done, losses[:done]) for done in range(8)]
    assert rates == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]


def test_a_level_is_a_figure_of_validation_and_losses_go_down():
    names = ("loss", "accuracy")
    accuracy, loss = (Level.parse(x, names) for x in ("val_accuracy=0.9", "loss=0.5"))
    assert accuracy.reached(0.9)
    assert not accuracy.reached(0.89)
    assert loss.reached(0.4)
    assert not loss.reached(0.6)
    assert Level.parse("", names) is None
    with pytest.raises(ConfigError, match="use loss, accuracy"):
        Level.parse("iou=0.5", names)
    with pytest.raises(ConfigError, match="no number"):
        Level.parse("accuracy", names)
