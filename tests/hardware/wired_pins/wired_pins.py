"""gpiozero's mock pins, whose levels another process can watch in a file.

As on a Raspberry Pi, a pin keeps its level when its owner is killed. Chosen by
``GPIOZERO_PIN_FACTORY=wired`` with this folder on ``PYTHONPATH``; ``AUTCAR_PINS`` names
the file: one double for each GPIO number, a level or duty 0…1, NaN while it floats.
"""

import math
import mmap
import os
import struct

from gpiozero.pins.mock import MockFactory, MockPWMPin

DOUBLE = struct.Struct("d")
COUNT = 64


def make(path):
    """A file in which every pin floats."""
    path.write_bytes(DOUBLE.pack(math.nan) * COUNT)


def level(path, number):
    """What a pin does now."""
    with open(path, "rb") as file:
        file.seek(number * DOUBLE.size)
        return DOUBLE.unpack(file.read(DOUBLE.size))[0]


class WiredPin(MockPWMPin):
    def _wire(self):
        value = float(self._state) if self._function == "output" else math.nan
        DOUBLE.pack_into(self.factory.levels, self._number * DOUBLE.size, value)

    def _set_function(self, value):
        super()._set_function(value)
        self._wire()

    def _change_state(self, value):
        changed = super()._change_state(value)
        self._wire()
        return changed


class WiredFactory(MockFactory):
    def __init__(self):
        super().__init__(pin_class=WiredPin)
        with open(os.environ["AUTCAR_PINS"], "r+b") as file:
            self.levels = mmap.mmap(file.fileno(), COUNT * DOUBLE.size)
