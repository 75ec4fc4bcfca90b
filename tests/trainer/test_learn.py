"""What a given model cannot be trained with."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from autcar.errors import ConfigError
from trainer.learn import Network
from trainer.learning.workers import Workers
from trainer.settings import Settings

keras = pytest.importorskip("keras")


def test_a_given_model_is_trained_in_float32_by_one_worker():
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten()], name="mine")
    model.add(keras.layers.Dense(2, activation="softmax"))
    settings = Settings(data=(), output=Path("none"), width=4, height=4)
    dataset = SimpleNamespace(classes=("a", "b"))
    assert Network.new(settings, dataset, Workers(), model=model).classes == ("a", "b")
    halves = replace(settings, precision="float16")
    for asked, workers in ((halves, Workers()), (settings, SimpleNamespace(count=2))):
        with pytest.raises(ConfigError, match=r"given model \(mine\) is trained in float32"):
            Network.new(asked, dataset, workers, model=model)
