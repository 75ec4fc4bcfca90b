"""Learn what larger networks answer, and not the drivers' labels alone.

A label says one command; a trained network's probabilities also say which others would
nearly have done, and do not repeat a driver's slips (Hinton, Vinyals and Dean, "Distilling
the Knowledge in a Neural Network", 2015). Several teachers answer better than one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autcar.errors import ConfigError
from trainer.learning.warm_start import SUMMARY, model_of

TEACHER_SHARE = 0.7
"""What the teachers' answers count in the loss; the labels count the rest."""

Teacher = Callable[[Any], Any]
"""From N×H×W×3 ``float32`` frames 0…255 to N×classes probabilities, as tensors."""


def load_teachers(folders: Sequence[str | Path], model: Any, classes: Sequence[str]) -> Teacher:
    """What answers with the mean of the networks of the runs in ``folders``, to teach ``model``.

    ``classes`` are the names of its outputs. A folder may be a bundle whose run is still there.
    Raises :class:`~autcar.errors.DataNotFoundError` when there is no run, :class:`ConfigError`
    when a network does not take and give what ``model`` does, or ``model`` has several outputs.
    """
    import tensorflow as tf

    networks = [_load(model_of(Path(folder)), model, list(classes)) for folder in folders]

    def answer(images: Any) -> Any:
        answers = [tf.cast(network(images, training=False), tf.float32) for network in networks]
        return tf.stop_gradient(tf.add_n(answers) / len(answers))

    return answer


def _load(path: Path, model: Any, classes: list[str]) -> Any:
    import keras

    summary = path.with_name(SUMMARY)
    told = json.loads(summary.read_text("utf-8")) if summary.is_file() else {}
    if (known := told.get("classes", classes)) != classes:
        raise ConfigError(
            f"--teacher {path.parent} cannot teach {model.name}: it tells apart "
            f"{', '.join(known)}, wanted is {', '.join(classes)}; train both on the same classes"
        )

    teacher = keras.saving.load_model(path, compile=False)
    answers, wanted = _answers(teacher), _answers(model)
    if answers != wanted or _SEVERAL in wanted:
        raise ConfigError(
            f"--teacher {path} cannot teach {model.name}: it gives {answers}, wanted is "
            f"{wanted}; train both on the same classes with the same --size, without --heads"
        )
    return teacher


_SEVERAL = "several outputs"


def _answers(model: Any) -> str:
    """What a model gives for what, in words."""
    height, width = model.input_shape[1:3]
    given = model.compute_output_shape(model.input_shape)
    outputs = f"{given[-1]} probabilities" if isinstance(given, tuple) else _SEVERAL
    return f"{outputs} for frames of {width}×{height}"


def taught(losses: Any, outputs: Any, answers: Any) -> Any:
    """Each sample's loss by its label, mixed with the cross-entropy to its teachers' answer.

    ``outputs`` and ``answers`` are N×classes probabilities.
    """
    import keras

    soft = keras.losses.categorical_crossentropy(answers, outputs)
    return (1 - TEACHER_SHARE) * losses + TEACHER_SHARE * soft
