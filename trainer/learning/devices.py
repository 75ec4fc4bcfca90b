"""Which processor trains."""

from __future__ import annotations

from autcar.errors import ConfigError


def use_gpu(asked: str | None) -> None:
    """Train on GPU number ``asked``, or on the CPU for ``"none"``; None takes what there is.

    Call it before TensorFlow works. Raises :class:`ConfigError` for a GPU that is not there.
    """
    import tensorflow as tf

    if asked is None:
        return
    there = tf.config.list_physical_devices("GPU")
    chosen = [gpu for number, gpu in enumerate(there) if asked == str(number)]
    if asked != "none" and not chosen:
        names = ", ".join(map(str, range(len(there)))) or "no GPU"
        raise ConfigError(
            f"--gpu {asked}: TensorFlow sees {names}; install tensorflow[and-cuda] and NVIDIA's "
            f"driver, or leave --gpu out to train on the CPU"
        )
    tf.config.set_visible_devices(chosen, "GPU")
