"""The state of training after its last whole epoch, in one file that is whole or not there."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autcar.errors import DataError, TrainingError
from trainer.history import History

Arrays = list[npt.NDArray[Any]]


@dataclass(frozen=True)
class Saved:
    """All that training needs to go on as if it had never ended.

    ``state`` are the variables of network and optimizer, random seeds among them,
    ``best`` the weights of the best epoch.
    """

    history: History
    state: Arrays
    best: Arrays


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's file: a plain ``.npz``, nothing pickled."""

    path: Path

    def save(self, saved: Saved) -> None:
        """Replace the file. Raises :class:`TrainingError` when it cannot be written."""
        text = json.dumps(saved.history.as_dict()).encode()
        arrays = {"history": np.frombuffer(text, np.uint8)}
        arrays |= {f"state_{i:04}": array for i, array in enumerate(saved.state)}
        arrays |= {f"best_{i:04}": array for i, array in enumerate(saved.best)}
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with open(temporary, "wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError as error:
            last = len(saved.history.epochs)
            size = sum(array.nbytes for array in arrays.values())
            raise TrainingError(
                f"epoch {last} cannot be kept: {self.path} needs {size / 1e6:,.1f} MB "
                f"({error.strerror}); free some space, then go on with "
                f"`autcar train --resume {self.path.parent}`"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)

    def load(self) -> Saved | None:
        """What was saved last, or None. Raises :class:`DataError` for a damaged file."""
        if not self.path.exists():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:
                history = History.from_dict(json.loads(file["history"].tobytes()))
                return Saved(history, *(_numbered(file, name) for name in ("state", "best")))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{self.path} is damaged ({error}); remove it to train this run from its beginning"
            ) from error


def _numbered(file: Any, name: str) -> Arrays:
    return [file[key] for key in sorted(file.files) if key.startswith(f"{name}_")]


def same_shapes(found: Sequence[npt.NDArray[Any]], wanted: Sequence[Any]) -> bool:
    """Whether arrays are as many and of the same shapes as variables."""
    return [tuple(x.shape) for x in found] == [tuple(x.shape) for x in wanted]
