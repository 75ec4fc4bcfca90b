"""Networks with several outputs, and the one answer that is made of them."""

from __future__ import annotations

from typing import Any

from autcar.errors import ConfigError
from trainer.data.heads import Heads


def with_heads(model: Any, heads: Heads) -> Any:
    """``model`` up to its last dense layer, with a softmax for each head in its place.

    The outputs are a dictionary by head. Raises :class:`ConfigError` for a model that
    does not end in a dense layer.
    """
    import keras

    layers = keras.layers
    ends = (layers.Dense, layers.Softmax, layers.Activation)
    last = next(
        (layer for layer in reversed(model.layers) if not isinstance(layer, ends[1:])), None
    )
    if not isinstance(last, layers.Dense):
        raise ConfigError(
            f"network {model.name} ends in a {type(last).__name__}; to get heads, end it with "
            f"Dense(classes, activation='softmax'), or give a dictionary of outputs by head"
        )
    outputs = {}
    for head in heads.heads:
        dense = layers.Dense(len(head.classes), name=f"{head.name}_logits")
        outputs[head.name] = layers.Softmax(name=head.name)(dense(last.input))
    return keras.Model(model.inputs[0], outputs, name=model.name)


def joined(model: Any, heads: Heads) -> Any:
    """``model``, whose outputs are ``heads``, with one probability for each joint class.

    A joint logit is the sum of its heads' logits, so the joint probabilities are the
    products of the heads', shared out among the tuples that there are.
    """
    import keras

    outputs = model(model.inputs[0]) if not isinstance(model.output, dict) else model.output
    logits = [_logits(outputs[head.name]) for head in heads.heads]
    mixer = keras.layers.Dense(
        len(heads.classes), use_bias=False, trainable=False, name="joint_logits"
    )
    scores = keras.layers.Softmax(name="joint")(mixer(keras.layers.Concatenate()(logits)))
    network = keras.Model(model.inputs[0], scores, name=model.name)
    mixer.set_weights([heads.mixer()])
    return network


def _logits(scores: Any) -> Any:
    """What ``scores`` are the softmax of: taken from before it, where it is a layer."""
    import keras

    made_by = scores._keras_history.operation
    if isinstance(made_by, keras.layers.Softmax):
        return made_by.input
    return keras.ops.log(scores + 1e-7)
