"""The folder of a run: what was asked, what happened, and what it takes to go on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from autcar.errors import DataError, DataNotFoundError
from autcar.files import new_folder, write_atomic
from trainer.learning.checkpoint import Checkpoint
from trainer.settings import Settings

ASKED = "run.json"
CHECKPOINT = "checkpoint.npz"


@dataclass(frozen=True)
class RunFolder:
    """One run. ``settings`` are what was asked, ``digest`` is that of the data."""

    path: Path
    settings: Settings
    digest: str

    @classmethod
    def new(cls, settings: Settings, digest: str) -> RunFolder | None:
        """A folder in ``settings.runs``, named by the time and the bundle; None for none."""
        if settings.runs is None:
            return None
        started = datetime.now(UTC).strftime("%Y-%m-%d_%H-%M-%S")
        return cls.begin(
            new_folder(settings.runs, f"{started}_{settings.output.name}"), settings, digest
        )

    @classmethod
    def begin(cls, path: Path, settings: Settings, digest: str) -> RunFolder:
        """Make ``path`` the folder of a run that ``autcar train --resume`` can take up."""
        path.mkdir(parents=True, exist_ok=True)
        asked = {"settings": settings.as_dict(), "digest": digest}
        write_atomic(path / ASKED, json.dumps(asked, indent=2, ensure_ascii=False) + "\n")
        return cls(path, settings, digest)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """A run that was begun. Raises :class:`DataNotFoundError` where there is none."""
        try:
            raw = json.loads((path / ASKED).read_text(encoding="utf-8"))
            return cls(path, Settings.from_dict(raw["settings"]), str(raw["digest"]))
        except (FileNotFoundError, NotADirectoryError):
            raise DataNotFoundError(
                f"there is no run at {path} ({ASKED} is missing); look for one under runs/"
            ) from None
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{path / ASKED} cannot be read ({error}); train anew with `autcar train`"
            ) from error

    def check_data(self, digest: str) -> None:
        """Raise :class:`DataError` unless ``digest`` is that of the data the run began with."""
        if digest != self.digest:
            raise DataError(
                f"the recordings are not those that {self.path} began with (digest {digest[:12]}, "
                f"then {self.digest[:12]}): frames came or went since; train anew, or from its "
                f"weights with --from {self.path}"
            )

    @property
    def checkpoint(self) -> Checkpoint:
        """The state after the last whole epoch."""
        return Checkpoint(self.path / CHECKPOINT)

    @property
    def log(self) -> Path:
        """Every line that was said, with its time."""
        return self.path / "train.log"
