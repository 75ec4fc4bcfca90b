"""The processes that train one model together; here, just this one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy.typing as npt


class Workers:
    """This process alone. ``count`` workers, of which this is number ``index``."""

    count = 1
    index = 0

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Where the model and its optimizer are made."""
        return contextlib.nullcontext()

    def run(self, step: Callable[..., Any], *tensors: Any) -> Any:
        """``step`` of this worker's part of a batch; called inside a ``tf.function``."""
        return step(*tensors)

    def sum(self, tensor: Any) -> Any:
        """``tensor`` added up over the workers; called within :meth:`run`."""
        return tensor

    def total(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """An array of the same shape on all workers, added up over them."""
        return values

    def share(self, content: bytes) -> bytes:
        """What worker 0 gave as ``content``, whatever this one gives."""
        return content

    def prepare(self, model: Any, together: bool = True) -> None:
        """Let layers that look at the whole batch see all workers' parts of it, or no more."""

    def together(self) -> contextlib.AbstractContextManager[None]:
        """Where a worker that died becomes a :class:`TrainingError`."""
        return contextlib.nullcontext()
