"""Event files for TensorBoard, as Keras' callback names them. Written by TensorFlow alone."""

from __future__ import annotations

from pathlib import Path

from trainer.learning.history import Epoch


class EventLog:
    """Writes each epoch's figures to ``folder/train`` and ``folder/validation``.

    To look at them: ``pip install tensorboard``, ``tensorboard --logdir runs``.
    """

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._tf = tf
        self._writers = {
            part: tf.summary.create_file_writer(str(folder / part))
            for part in ("train", "validation")
        }
        data = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        self._scalar = tf.compat.v1.SummaryMetadata(plugin_data=data)

    def __call__(self, epoch: Epoch) -> None:
        """Add one epoch."""
        for name, value in epoch.figures.items():
            part = "validation" if name.startswith("val_") else "train"
            with self._writers[part].as_default():
                self._tf.summary.write(
                    f"epoch_{name.removeprefix('val_')}",
                    self._tf.constant(value, self._tf.float32),
                    step=epoch.number,
                    metadata=self._scalar,
                )
            self._writers[part].flush()
