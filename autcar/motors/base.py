"""What every motor driver does. Imports nothing heavy: the guardian loads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Motors(ABC):
    """The two driven sides of a car. Open means at rest, and so does closed."""

    @abstractmethod
    def drive(self, left: float, right: float) -> None:
        """Set the wheel speeds, −1…1 of full speed, negative backwards, until the next call."""

    @abstractmethod
    def close(self) -> None:
        """Bring the wheels to rest, then release the hardware. Closing twice is harmless."""

    def stop(self) -> None:
        """Bring the wheels to rest."""
        self.drive(0.0, 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
