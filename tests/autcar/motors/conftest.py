"""gpiozero's simulated chips, and time that passes as told."""

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPWMPin

BOARDS = {"Pi 4": "c03111", "Pi 5": "d04171"}


class Board:
    """A simulated Pi. Its pins are looked at by name, also when their driver is closed."""

    def __init__(self, model):
        self.model = model
        self.plug()

    def plug(self):
        """A new pin factory: the last one is closed with its driver."""
        self.factory = MockFactory(revision=BOARDS[self.model], pin_class=MockPWMPin)
        Device.pin_factory = self.factory
        self._pins = {}

    def pin(self, name):
        if name not in self._pins:
            self._pins[name] = self.factory.pin(name)
        return self._pins[name]

    def level(self, name):
        """A level or duty; a pin that was never opened floats."""
        pin = self.pin(name)
        assert pin.function == "output", f"{name} floats"
        return pin.state

    def levels(self, names):
        return tuple(self.level(name) for name in names.split())


@pytest.fixture(params=BOARDS)
def board(request):
    yield Board(request.param)
    Device.pin_factory = None


class VirtualPacer:
    """Calls the tick when it is due, on a clock that the test moves."""

    def __init__(self, tick):
        self.tick = tick
        self.now_ns = 0
        self.due_ns = None
        self.failure = None
        self.seen = lambda now_ns: None

    def poke(self):
        self.due_ns = self.now_ns

    def close(self):
        self.due_ns = None

    def advance(self, seconds, late_ns=lambda: 0):
        end_ns = self.now_ns + round(seconds * 1e9)
        while self.due_ns is not None and self.due_ns <= end_ns:
            self.now_ns = max(self.now_ns, self.due_ns + late_ns())
            self.due_ns = self.tick(self.now_ns)
            self.seen(self.now_ns)
        self.now_ns = max(self.now_ns, end_ns)


@pytest.fixture
def virtual():
    """Give ``pacer=virtual`` to a driver; ``virtual.pacer`` is what it made of it."""

    def make(tick):
        make.pacer = VirtualPacer(tick)
        return make.pacer

    return make
