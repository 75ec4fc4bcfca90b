"""Keeps TensorFlow's C++ from talking over us."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send what Python and native code write to the process's output and error nowhere.

    Python's exceptions pass. TensorFlow's own setting for this comes too late for
    what it writes while it is imported.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile("w") as sink, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(sink))
        stack.enter_context(contextlib.redirect_stderr(sink))
        for descriptor in (1, 2):
            copy = os.dup(descriptor)
            stack.callback(os.close, copy)
            stack.callback(os.dup2, copy, descriptor)
            os.dup2(sink.fileno(), descriptor)
        yield


def import_tensorflow() -> None:
    """Import TensorFlow and Keras without their start-up notes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet():
        import keras  # noqa: F401
        import tensorflow as tf
    # It warns of steps that are compiled anew, which each network's are.
    tf.get_logger().setLevel("ERROR")
