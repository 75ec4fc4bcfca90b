"""Motors of the simulated car: they put wheel speeds on the simulator's wires."""

from __future__ import annotations

import math
import os

from autcar.errors import MotorError
from autcar.motors.base import Motors
from autcar.simulator.wires import Wires


class SimulatedMotors(Motors):
    """Drives a simulated car through ``wires``, or through the file of that path.

    Given a path, closing the motors closes the file too; given wires, it leaves
    them open. Raises :class:`~autcar.errors.MotorError` when the file cannot be
    opened, for speeds that are not numbers, and after :meth:`close`.
    """

    def __init__(self, wires: Wires | str | os.PathLike[str]) -> None:
        self._owned = not isinstance(wires, Wires)
        self._wires = wires if isinstance(wires, Wires) else Wires(wires)
        self._open = True
        self.stop()

    def drive(self, left: float, right: float) -> None:
        """Set the wheel speeds; beyond −1…1 they are cut off, as a real bridge would."""
        if not self._open:
            raise MotorError("the simulated motors are closed; open new ones to drive on")
        if not (math.isfinite(left) and math.isfinite(right)):
            raise MotorError(f"wheel speeds {left}, {right} are not numbers from -1 to 1")
        self._wires.write(min(max(left, -1.0), 1.0), min(max(right, -1.0), 1.0))

    def close(self) -> None:
        """Bring the wheels to rest and let go of the wires."""
        if self._open:
            self.stop()
            self._open = False
            if self._owned:
                self._wires.close()
