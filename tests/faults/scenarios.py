"""What may go wrong, what is promised then, and a stopwatch at the wheels.

Used by the fault tests, few times each, and by ``benchmarks/faults.py``, many times.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from autcar.safety import Reason
from autcar.simulator.wires import Wires


@dataclass(frozen=True)
class Scenario:
    """A fault: its promise in ms, the signal to whom, and the exit code that must follow.

    ``to`` is the pilot process or the guardian. ``exit_code`` None: it was killed. ``reason``
    is why the gate must have stopped the car, where that was the gate.
    """

    name: str
    promise_ms: int
    number: signal.Signals = signal.SIGUSR1
    to: str = "pilot"
    fault: str = ""
    exit_code: int | None = 1
    reason: Reason | None = None


SCENARIOS = (
    Scenario("SIGTERM", 100, signal.SIGTERM, exit_code=143),
    Scenario("SIGINT", 100, signal.SIGINT, exit_code=0),
    Scenario("SIGHUP", 100, signal.SIGHUP, exit_code=143),
    Scenario("pilot SIGKILL", 50, signal.SIGKILL, exit_code=-9),
    Scenario("pilot raises", 50, fault="raise", exit_code=3),
    Scenario("pilot stopped (SIGSTOP)", 300, signal.SIGSTOP, exit_code=None),
    Scenario("pilot hangs", 300, fault="hang", reason=Reason.STALE_FRAME),
    Scenario("pilot hangs, busy", 300, fault="busy", reason=Reason.STALE_FRAME),
    Scenario("camera stalls", 300, fault="stall", reason=Reason.CAMERA_STALLED),
    Scenario("stale frames", 300, fault="stale", reason=Reason.STALE_FRAME),
    Scenario("frozen image", 1000, fault="freeze", reason=Reason.FROZEN_IMAGE),
    Scenario("lens covered", 300, fault="cover", reason=Reason.LENS_COVERED),
    Scenario("glare", 300, fault="glare", reason=Reason.GLARE),
    Scenario("NaN", 100, fault="nan", reason=Reason.BAD_OUTPUT),
    Scenario("wrong shape", 100, fault="shape", reason=Reason.BAD_OUTPUT),
    Scenario("low confidence", 500, fault="unsure", reason=Reason.LOW_CONFIDENCE),
    Scenario("hero hidden", 500, fault="hidden", exit_code=None),
    Scenario("guardian SIGTERM", 100, signal.SIGTERM, to="guardian"),
    Scenario("guardian SIGKILL", 1000, signal.SIGKILL, to="guardian"),
    Scenario("guardian hangs (SIGSTOP)", 1500, signal.SIGSTOP, to="guardian"),
)


class Car:
    """A car that drives in processes of its own, and its wires."""

    def __init__(self, process: subprocess.Popen[str], wires: Wires) -> None:
        self.process = process
        self.wires = wires
        self.guardian = int(
            Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
        )

    @property
    def moving(self) -> bool:
        """Whether a wheel turns, seen from outside."""
        signal_on_wires = self.wires.read()
        return signal_on_wires.left != 0 or signal_on_wires.right != 0

    def time_to_rest_ms(self, began_ns: int, within_s: float = 5.0) -> float:
        """How long from ``began_ns`` (monotonic) until both wheels were told to rest.

        The wires carry the time of the last change, so a late look costs no precision.
        """
        while self.moving:
            if time.monotonic_ns() - began_ns > within_s * 1e9:
                raise AssertionError(f"wheels still turn after {within_s} s")
            time.sleep(0.001)
        return max(0.0, (self.wires.read().time_ns - began_ns) / 1e6)


@contextmanager
def driving_car(fault: str) -> Iterator[Car]:
    """A car at speed; gone, with its guardian, at the end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wires"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.driver", str(path), fault],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).resolve().parent.parent.parent,
        )
        car = None
        try:
            assert process.stdout
            if process.stdout.readline() != "driving\n":
                raise AssertionError(f"the car did not drive (exit code {process.wait()})")
            with Wires(path) as wires:
                car = Car(process, wires)
                yield car
        finally:
            pids = [process.pid] + ([car.guardian] if car else [])
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def run(scenario: Scenario, generator: random.Random, busy: int = 0) -> float:
    """Bring one fault about at a random moment; returns the ms until the wheels rested.

    Checks that they stay at rest, and that the process ends with the right exit code.
    With ``busy``, that many processes compute beside the car. A car that a starved
    machine stopped before its fault was due is at rest as it should be: it starts again.
    """
    for _ in range(10):
        with driving_car(scenario.fault) as car, busy_processes(busy):
            time.sleep(generator.uniform(0, 0.2))
            if car.moving:
                return _bring_about(scenario, car)
    raise AssertionError("the car stopped ten times before anything went wrong")


def _bring_about(scenario: Scenario, car: Car) -> float:
    began_ns = time.monotonic_ns()
    os.kill(car.process.pid if scenario.to == "pilot" else car.guardian, scenario.number)
    took_ms = car.time_to_rest_ms(began_ns)
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        if car.moving:
            raise AssertionError(f"{scenario.name}: a wheel turned again")
        time.sleep(0.002)
    if scenario.exit_code is not None:
        code = car.process.wait(10)
        if code != scenario.exit_code:
            raise AssertionError(f"{scenario.name}: exit code {code}")
        assert car.process.stdout
        said = car.process.stdout.read()
        if scenario.reason and not said.endswith(f"stopped: {scenario.reason}\n"):
            raise AssertionError(f"{scenario.name}: {scenario.reason} was expected, not {said!r}")
    return took_ms


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """``count`` processes that do nothing but compute."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
