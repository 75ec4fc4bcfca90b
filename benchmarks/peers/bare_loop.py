"""The bare interpreter at a camera's pace, for ``benchmarks/driving.py``.

``python bare_loop.py FRAMES.npy BUNDLE VARIANT SECONDS`` ends with a line of JSON: CPU ms a
frame for nothing but sleeping until a frame is due and asking the model. What a driving loop
takes beyond that is its own; the wake-up and the cold caches are everybody's.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from autcar.bundle import load_bundle
from autcar.cameras.base import Frame
from edge.pilots import BundlePilot

FPS = 30


def main() -> None:
    images = np.load(sys.argv[1], mmap_mode="r")
    pilot = BundlePilot(load_bundle(sys.argv[2]), sys.argv[3])
    frames = max(1, round(float(sys.argv[4]) * FPS))
    pilot.scores(Frame(images[0], 0, 0))
    began_ns, cpu_ns = time.monotonic_ns(), time.process_time_ns()
    for number in range(1, frames + 1):
        due_ns = began_ns + number * 10**9 // FPS
        time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        pilot.scores(Frame(images[number % len(images)], number, due_ns))
    print(json.dumps({"cpu_ms": (time.process_time_ns() - cpu_ns) / frames / 1e6}))


if __name__ == "__main__":
    main()
