"""A Keras model with its optimizer and its compiled steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from autcar.errors import DataError
from trainer.learning.checkpoint import Arrays, same_shapes
from trainer.learning.distillation import Teacher, taught
from trainer.learning.objectives import Objective
from trainer.learning.schedule import Schedule
from trainer.learning.workers import Workers

Sums = npt.NDArray[np.float64]


class Learner:
    """Learns from batches and judges them. A batch is what this worker reads of it.

    ``train`` and ``validate`` return one flat tensor of sums over the batch: each of
    ``measures``, the number of samples, and the confusion. It is not waited for.
    """

    def __init__(
        self,
        model: Any,
        schedule: Schedule,
        objective: Objective,
        workers: Workers,
        teacher: Teacher | None = None,
    ) -> None:
        import tensorflow as tf

        objective.check(model)
        self.model = model
        self.measures: tuple[str, ...] = ()
        self._objective = objective
        with workers.scope():
            self.optimizer = _optimizer(schedule, model.dtype_policy.compute_dtype)
            self.optimizer.build(model.trainable_variables)
        kernels = [v for v in model.trainable_variables if v.path.endswith("kernel")]
        kind, shape = objective.target
        signature = [
            tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8),
            tf.TensorSpec(shape, kind),
        ]
        optimizer = self.optimizer

        def answer(images: Any, targets: Any, training: bool) -> tuple[dict[str, Any], Any]:
            images = tf.cast(images, tf.float32)
            outputs = model(images, training=training)
            outputs = tf.nest.map_structure(lambda x: _as_float32(tf, x), outputs)
            measures = objective.measures(outputs, targets)
            if teacher is not None and training:
                measures["loss"] = taught(measures["loss"], outputs, teacher(images))
            self.measures = tuple(measures)
            sums = [tf.reduce_sum(values) for values in measures.values()]
            count = tf.cast(tf.shape(images)[0], tf.float32)
            confusion = tf.reshape(objective.confusion(outputs, targets), (-1,))
            return measures, tf.concat([tf.stack([*sums, count]), confusion], 0)

        def learn(images: Any, targets: Any) -> Any:
            count = workers.sum(tf.cast(tf.shape(images)[0], tf.float32))
            with tf.GradientTape() as tape:
                measures, sums = answer(images, targets, training=True)
                penalties = [*model.losses]
                if schedule.l2:
                    penalties += [schedule.l2 * tf.reduce_sum(tf.square(k)) for k in kernels]
                # Gradients are added over the workers, so each brings its share.
                loss = tf.reduce_sum(measures["loss"]) / count
                loss = tf.add_n([loss, *(penalty / workers.count for penalty in penalties)])
                loss = optimizer.scale_loss(loss)
            variables = model.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return sums

        @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
        def train(images: Any, targets: Any) -> Any:
            return workers.run(learn, images, targets)

        @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
        def validate(images: Any, targets: Any) -> Any:
            return workers.run(lambda i, t: answer(i, t, training=False)[1], images, targets)

        self.train, self.validate = train, validate

    def state(self) -> Arrays:
        """The values of all variables: weights, random seeds, the optimizer's."""
        return [variable.numpy() for variable in self._variables()]

    def restore(self, state: Arrays) -> None:
        """Go on from a :meth:`state`. Raises :class:`DataError` for another network's."""
        if not same_shapes(state, self._variables()):
            raise DataError(
                f"the checkpoint is of another network or optimizer than {self.model.name} with "
                f"{type(self.optimizer).__name__}; train anew"
            )
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.optimizer.variables]

    def figures(self, sums: Sums) -> dict[str, float]:
        """What is logged of the sums over an epoch, by Keras' names."""
        classes = self._objective.classes
        count = sums[len(self.measures)]
        means = {name: float(sums[i] / count) for i, name in enumerate(self.measures)}
        confusion = sums[len(self.measures) + 1 :].reshape(classes, classes)
        found = self._objective.figures(means, confusion)
        return {name: found[name] for name in self._objective.names}


def _optimizer(schedule: Schedule, compute: str) -> Any:
    import keras

    rate = schedule.learning_rate
    optimizer: Any
    if schedule.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    elif schedule.optimizer == "nadam":
        optimizer = keras.optimizers.Nadam(rate)
    else:
        optimizer = keras.optimizers.Adam(rate)
    return keras.optimizers.LossScaleOptimizer(optimizer) if compute == "float16" else optimizer


def _as_float32(tf: Any, output: Any) -> Any:
    return output if output.dtype == tf.float32 else tf.cast(output, tf.float32)
