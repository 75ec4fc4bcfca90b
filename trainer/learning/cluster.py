"""Several machines, or processes, that train one model together."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from autcar.errors import ConfigError, TrainingError
from trainer.learning.workers import Workers

VARIABLE = "TF_CONFIG"


class Cluster(Workers):
    """One of the workers ``hosts`` (``"host:port"``), number ``index`` of them.

    Every worker is started with the same command and data, and reads its share of each
    batch; gradients are added up over all of them, so the losses are those of one worker.
    Batch normalisation looks at the whole batch, too; dropout is drawn by each worker for
    itself. Number 0 keeps the run's folder and makes the bundle.

    Make it before TensorFlow works. It waits until all are there. Raises
    :class:`ConfigError` for hosts or an index that make no sense.
    """

    def __init__(self, hosts: Sequence[str], index: int) -> None:
        import tensorflow as tf

        _check(hosts, index)
        self.count, self.index = len(hosts), index
        self._hosts = tuple(hosts)
        task = {"type": "worker", "index": index}
        os.environ[VARIABLE] = json.dumps({"cluster": {"worker": list(hosts)}, "task": task})
        with self.together():
            self._strategy = tf.distribute.MultiWorkerMirroredStrategy()
        self._add = tf.function(lambda values: self.run(self.sum, values))

    @classmethod
    def of_environment(cls) -> Cluster | None:
        """What ``TF_CONFIG`` says, or None where it is not set."""
        text = os.environ.get(VARIABLE)
        if not text:
            return None
        try:
            raw = json.loads(text)
            return cls(raw["cluster"]["worker"], int(raw["task"]["index"]))
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"{VARIABLE} cannot be read ({error!r}); unset it, and give --workers and --worker"
            ) from error

    def scope(self) -> contextlib.AbstractContextManager[Any]:  # noqa: D102
        scope: contextlib.AbstractContextManager[Any] = self._strategy.scope()
        return scope

    def run(self, step: Callable[..., Any], *tensors: Any) -> Any:  # noqa: D102
        return self._strategy.run(step, args=tensors)

    def sum(self, tensor: Any) -> Any:  # noqa: D102
        import tensorflow as tf

        replica = tf.distribute.get_replica_context()
        return replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(tensor))

    def total(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:  # noqa: D102
        return np.asarray(self._add(values).numpy())

    def share(self, content: bytes) -> bytes:  # noqa: D102
        mine = content if self.index == 0 else b""
        size = int(self.total(np.array([len(mine)], np.int64))[0])
        padded = np.zeros(-(-size // 4) * 4, np.uint8)
        padded[: len(mine)] = np.frombuffer(mine, np.uint8)
        return self.total(padded.view(np.int32)).tobytes()[:size] if size else b""

    def prepare(self, model: Any, together: bool = True) -> None:  # noqa: D102
        import keras

        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = together

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:  # noqa: D102
        import tensorflow as tf

        try:
            yield
        except tf.errors.OpError as error:
            raise TrainingError(
                f"worker {self.index} of {self.count} lost the others ({type(error).__name__}): "
                f"one of {', '.join(self._hosts)} died or cannot be reached; start all again, "
                f"with --resume RUN to go on after the last whole epoch"
            ) from error


def _check(hosts: Sequence[str], index: int) -> None:
    wrong = [host for host in hosts if not host.rpartition(":")[2].isdigit() or ":" not in host]
    if wrong or len(set(hosts)) < len(hosts) or len(hosts) < 2:
        raise ConfigError(
            f"workers {','.join(hosts)} must be two or more of HOST:PORT, each once; say for "
            f"example --workers 192.168.0.10:2222,192.168.0.11:2222"
        )
    if not 0 <= index < len(hosts):
        raise ConfigError(
            f"worker {index} is none of {len(hosts)}; give --worker 0 on {hosts[0]}, "
            f"--worker 1 on {hosts[1]} and so on"
        )
