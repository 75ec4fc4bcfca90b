"""The errors that autcar raises on purpose.

Each is an :class:`AutcarError` and also the built-in error that a caller would
guess, so ``except FileNotFoundError`` works as well as ``except AutcarError``.
A message names the file or key, what was found, what was expected, and ends
with the next thing to type. The command line prints the message alone; a
traceback is left for errors that nobody foresaw.
"""

from __future__ import annotations


class AutcarError(Exception):
    """Base of every error that autcar raises on purpose."""


class CommandError(AutcarError, ValueError):
    """A text or object that does not name one of the car's commands."""


class ConfigError(AutcarError, ValueError):
    """A ``car.toml`` with an unknown key, a wrong type or a value out of range."""


class DataError(AutcarError, ValueError):
    """A recording, image or dataset that cannot be used as it is."""


class DataNotFoundError(AutcarError, FileNotFoundError):
    """A recording, image or map file that is not there."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class TrainingError(AutcarError, RuntimeError):
    """Training that could not go on: a full disk, a worker that died. What was saved is whole."""


class BundleError(AutcarError, ValueError):
    """A bundle that is damaged, altered, or does not fit this car."""


class ParityError(AutcarError, RuntimeError):
    """A converted model that does not answer as the trained one does."""


class RuntimeMissingError(AutcarError, ImportError):
    """A package that this action needs is not installed."""


class CameraError(AutcarError, OSError):
    """A camera that is absent, busy, or gives frames of another size."""


class CameraTimeoutError(CameraError, TimeoutError):
    """A camera that gave no new frame in time."""


class MotorError(AutcarError, OSError):
    """A motor driver that could not be opened or commanded."""
