"""The state of training after its last whole epoch, in one file that is whole or not there."""

from __future__ import annotations

import io
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
from trainer.learning.history import History

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

    def to_bytes(self) -> bytes:
        """A plain ``.npz``, nothing pickled."""
        text = json.dumps(self.history.as_dict()).encode()
        arrays = {"history": np.frombuffer(text, np.uint8)}
        arrays |= {f"state_{i:04}": array for i, array in enumerate(self.state)}
        arrays |= {f"best_{i:04}": array for i, array in enumerate(self.best)}
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Saved:
        """What :meth:`to_bytes` gave. Raises ``ValueError`` or ``KeyError`` for anything else."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                history = History.from_dict(json.loads(file["history"].tobytes()))
                return cls(history, _numbered(file, "state"), _numbered(file, "best"))
        except (EOFError, zipfile.BadZipFile) as error:
            raise ValueError(error) from error


def _numbered(file: Any, name: str) -> Arrays:
    return [file[key] for key in sorted(file.files) if key.startswith(f"{name}_")]


@dataclass(frozen=True)
class Checkpoint:
    """The file of a :class:`Saved`."""

    path: Path

    def save(self, saved: Saved) -> None:
        """Replace the file. Raises :class:`TrainingError` when it cannot be written."""
        content = saved.to_bytes()
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError as error:
            raise TrainingError(
                f"epoch {len(saved.history.epochs)} cannot be kept: {self.path} needs "
                f"{len(content) / 1e6:,.1f} MB ({error.strerror}); free some space, then go on "
                f"with `autcar train --resume {self.path.parent}`"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)

    def load(self) -> Saved | None:
        """What was saved last, or None. Raises :class:`DataError` for a damaged file."""
        try:
            return Saved.from_bytes(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{self.path} is damaged ({error}); remove it to train this run from its beginning"
            ) from error


def same_shapes(found: Sequence[npt.NDArray[Any]], wanted: Sequence[Any]) -> bool:
    """Whether arrays are as many and of the same shapes as variables."""
    return [tuple(x.shape) for x in found] == [tuple(x.shape) for x in wanted]
