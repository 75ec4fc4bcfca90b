"""Makes anyone's Keras model take what the car's camera gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autcar.errors import ConfigError

_NORMALISERS = ("Rescaling", "Normalization", "BatchNormalization")


def adapt(model: Any, height: int, width: int, classes: int) -> Any:
    """``model`` as a ``keras.Model`` from raw RGB (0…255, N×H×W×3) to probabilities.

    A model of (H, W, 3) is taken as it is. AutCar's documented one says
    ``InputLayer(input_shape=[3, H, W])``, which Keras reads as H wide and W
    channels, 3 high; it is kept exactly so and gets its frames transposed. A model
    that does not begin by normalising gets its frames as 0…1; one that does not
    end in probabilities gets a softmax.

    Raises :class:`ConfigError` for any other input, and for an output that is not
    N×``classes``.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise ConfigError(
            f"the model is a {type(model).__name__}; give a keras.Model, such as "
            f"keras.Sequential([...])"
        )
    shape = _input_shape(model)
    frames = keras.Input((height, width, 3), name="frame")
    values = frames
    if not _normalises(model):
        values = keras.layers.Rescaling(1 / 255)(values)
    if shape == (3, height, width):
        values = keras.layers.Permute((3, 1, 2))(values)
    elif shape != (height, width, 3):
        raise ConfigError(
            f"the model's input is {shape}; the frames are {height} high and {width} wide: "
            f"begin it with keras.Input(({height}, {width}, 3)), or [3, {height}, {width}]"
        )
    outputs = model(values)
    if tuple(outputs.shape[1:]) != (classes,):
        raise ConfigError(
            f"the model's output is {tuple(outputs.shape[1:])}, there are {classes} classes; "
            f"end it with Dense({classes}, activation='softmax')"
        )
    if not _gives_probabilities(model, shape):
        outputs = keras.layers.Softmax()(outputs)
    return keras.Model(frames, outputs, name=model.name)


def _input_shape(model: Any) -> tuple[int, ...]:
    try:
        shape = model.input_shape
    except (AttributeError, ValueError):
        shape = None
    if not isinstance(shape, tuple):
        raise ConfigError(
            "the model has no single input of a known shape; begin it with "
            "keras.Input((height, width, 3))"
        )
    return tuple(shape[1:])


def _normalises(model: Any) -> bool:
    layers = [layer for layer in model.layers if type(layer).__name__ != "InputLayer"]
    return bool(layers) and type(layers[0]).__name__ in _NORMALISERS


def _gives_probabilities(model: Any, shape: tuple[int, ...]) -> bool:
    noise = np.random.default_rng(0).random((4, *shape), np.float32)
    outputs = model(noise, training=False).numpy()
    return bool((outputs >= 0).all() and np.allclose(outputs.sum(1), 1, atol=1e-3))


def spread(model: Any, classes: Sequence[str], labels: Sequence[str]) -> Any:
    """``model``, whose outputs are ``classes``, with its probabilities laid out as ``labels``.

    A label that is not among the classes gets probability 0. So a network that knows
    three commands still answers in the car's twelve.
    """
    import keras

    if tuple(classes) == tuple(labels):
        return model
    table = np.zeros((len(classes), len(labels)), np.float32)
    for row, name in enumerate(classes):
        table[row, list(labels).index(name)] = 1
    frames = keras.Input(model.input_shape[1:], name="frame")
    layer = keras.layers.Dense(len(labels), use_bias=False, trainable=False, name="labels")
    spread_model = keras.Model(frames, layer(model(frames)), name=model.name)
    layer.set_weights([table])
    return spread_model
