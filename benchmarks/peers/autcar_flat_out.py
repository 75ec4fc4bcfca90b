"""Our driving loop beside the bare interpreter, both as fast as they go; see ``driving.py``.

``python autcar_flat_out.py FRAMES.npy BUNDLE VARIANT`` ends with a line of JSON: CPU ms a frame,
the medians of rounds taken in turn. A car sleeps between frames and finds its caches cold;
here everything is warm, so that what remains is what the loop itself does beside inference:
reading, judging the frame, the gate. A message to the guardian is due by time, here at one
frame in some 140; at 30 frames/s it is every second one. The guardian's own process is
counted apart.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from autcar.bundle import load_bundle
from autcar.cameras.base import Camera, Frame
from autcar.safety import Gate
from autcar.wheels import GuardedWheels
from edge.loop import Loop
from edge.pilots import BundlePilot

ROUNDS, FRAMES = 9, 1000


def main() -> None:
    images = np.load(sys.argv[1])

    class Newest(Camera):
        height, width = images.shape[1:3]
        fps = 30.0

        def __init__(self) -> None:
            self._number = -1

        def read(self, timeout_s: float = 1.0) -> Frame:
            self._number += 1
            image = images[self._number % len(images)]
            return Frame(image, self._number, time.monotonic_ns())

        def close(self) -> None:
            pass

    pilot, camera = BundlePilot(load_bundle(sys.argv[2]), sys.argv[3]), Newest()
    rounds: dict[str, list[float]] = {"bare_ms": [], "loop_ms": [], "guardian_ms": []}
    with tempfile.TemporaryDirectory() as scratch:
        wheels = GuardedWheels({"driver": "simulator", "wires": f"{scratch}/wires"})
        loop = Loop(camera, pilot, wheels, Gate())
        ticks = loop.ticks()

        def guardian_ns() -> int:
            return int(Path(f"/proc/{wheels.pid}/schedstat").read_text().split()[0])

        for _ in range(ROUNDS):
            began_ns = time.process_time_ns()
            for number in range(FRAMES):
                pilot.scores(Frame(images[number % len(images)], number, 0))
            bare_ns = time.process_time_ns() - began_ns
            # Meanwhile the last command expired, as it should: the car stands, and is armed anew.
            loop.arm()
            next(ticks)
            began_ns, guardian_began_ns = time.process_time_ns(), guardian_ns()
            for _ in range(FRAMES):
                verdict = next(ticks).verdict
            loop_ns, aside_ns = (
                time.process_time_ns() - began_ns,
                guardian_ns() - guardian_began_ns,
            )
            assert verdict.reason is None, f"the car stopped: {verdict.reason}"
            for name, spent_ns in zip(rounds, (bare_ns, loop_ns, aside_ns), strict=True):
                rounds[name].append(spent_ns / FRAMES / 1e6)
        ticks.close()
        wheels.close()
    print(json.dumps({name: statistics.median(values) for name, values in rounds.items()}))


if __name__ == "__main__":
    main()
