"""Which file of a bundle this machine drives with, and on how many threads.

``autcar bench --choose`` measures it and remembers it here, in a small file of the machine's
own: a bundle is never changed, and goes to other machines.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from autcar.appliance import places
from autcar.bundle import Bundle
from autcar.errors import ConfigError
from autcar.files import write_atomic

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """A bundle's variant by name, threads, and the runtime and median ms it was chosen by."""

    variant: str
    threads: int
    runtime: str
    ms: float


def remember(bundle: Bundle, choice: Choice) -> Path:
    """Keep ``choice`` for ``bundle`` on this machine; returns the file.

    Raises :class:`ConfigError` where this user may not write to the car's state.
    """
    path = _path(bundle)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(asdict(choice), indent=2) + "\n")
    except PermissionError:
        raise ConfigError(
            f"{path.parent} is not yours to write; join its group with `sudo usermod -aG autcar "
            f"$USER` and log in again, or run this with sudo"
        ) from None
    return path


def recall(bundle: Bundle, runtime: str) -> Choice | None:
    """What was chosen for ``bundle`` on this machine with ``runtime``, or None.

    A car that can drive never fails for want of a choice: one that cannot be read is logged.
    """
    path = _path(bundle)
    try:
        choice = Choice(**json.loads(path.read_text(encoding="utf-8")))
        bundle.variant(choice.variant)
        fits = type(choice.threads) is int and choice.threads >= 1
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        log.warning("%s cannot be used (%s); run `autcar bench --choose` again", path, error)
        return None
    return choice if fits and choice.runtime == runtime else None


def _path(bundle: Bundle) -> Path:
    """In the car's state, where it has one; else in the user's."""
    state = places.state()
    if not state.is_dir():
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
        state = Path(home) / "autcar"
    return state / "choices" / f"{bundle.digest[:16]}.json"
