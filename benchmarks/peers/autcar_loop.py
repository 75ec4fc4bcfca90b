"""Our driving loop on recorded frames, for ``benchmarks/driving.py``.

``python autcar_loop.py FRAMES.npy BUNDLE VARIANT SECONDS SPAWNED_NS`` ends with a line of JSON.
Imports as ``autcar drive`` does: the guardian starts before anything heavy.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from autcar.cli import parse
from autcar.config import load_config
from autcar.wheels import GuardedWheels
from edge.cli import start_quickly

FPS = 30


def drive_frames(
    wheels: GuardedWheels,
    wires_path: str,
    frames: str,
    bundle: tuple[str, str],
    seconds: float,
    spawned: int,
) -> dict[str, object]:
    """Drive for ``seconds`` and say how old frames were when their commands reached the wires.

    ``bundle`` is a folder and a variant.
    """
    import numpy as np

    from autcar.bundle import load_bundle
    from autcar.cameras.base import Camera, Frame
    from autcar.safety import Gate
    from autcar.simulator.wires import Wires
    from autcar.vehicle import Vehicle
    from edge.drive import drive_vehicle
    from edge.loop import Tick
    from edge.pilots import BundlePilot, Scores

    images = np.load(frames, mmap_mode="r")

    class FrameCamera(Camera):
        """``FPS`` frames a second of the monotonic clock; the newest wins."""

        height, width = images.shape[1:3]
        fps = float(FPS)

        def __init__(self) -> None:
            self._begin_ns = time.monotonic_ns()
            self._number = -1

        def read(self, timeout_s: float = 1.0) -> Frame:
            now = time.monotonic_ns()
            number = max((now - self._begin_ns) * FPS // 10**9, self._number + 1)
            due = self._begin_ns + number * 10**9 // FPS
            if due > now:
                time.sleep((due - now) / 1e9)
            self._number = number
            return Frame(images[number % len(images)], number, due)

        def close(self) -> None:
            pass

    class TimedPilot:
        """The bundle, timed; looks at the wires first, which hold the command of before.

        ``said`` are the wheel speeds that the loop sent for the frame before.
        """

        def __init__(self) -> None:
            folder, variant = bundle
            self._pilot = BundlePilot(load_bundle(folder), variant)
            self._before: Frame | None = None
            self.said = 0.0, 0.0
            self.cpu_ns = 0
            self.inference_ms: list[float] = []
            self.ages_ms: list[float] = []

        def scores(self, frame: Frame) -> Scores:
            cpu = time.thread_time_ns()
            if self._before is not None:
                signal = wires.read()
                left, right = self.said
                arrived = abs(signal.left - left) + abs(signal.right - right) < 1e-6
                # One that is still under way is at least as old as it is now.
                at_ns = signal.time_ns if arrived else time.monotonic_ns()
                # Where the command stayed the same, the wires hold that of a frame before.
                if at_ns > self._before.time_ns:
                    self.ages_ms.append((at_ns - self._before.time_ns) / 1e6)
            self._before = frame
            wall = time.perf_counter_ns()
            scores = self._pilot.scores(frame)
            self.cpu_ns += time.thread_time_ns() - cpu
            self.inference_ms.append((time.perf_counter_ns() - wall) / 1e6)
            return scores

    class Watch:
        """Notes the first command that reached the wires; counts CPU from there on."""

        def __init__(self) -> None:
            self.first_ns = 0
            self.cpu_ns = 0
            self.seen: list[int] = []

        def tell(self, tick: Tick, rate: float) -> None:
            self.seen.append(tick.sequence)
            pilot.said = tick.verdict.left, tick.verdict.right
            if not self.first_ns:
                while not (signal := wires.read()).left:
                    assert time.monotonic_ns() - tick.time_ns < 10**9, "the wheels do not turn"
                self.first_ns = signal.time_ns
                self.cpu_ns = self._cpu()
                pilot.cpu_ns = 0

        def end(self) -> None:
            self.cpu_ns = self._cpu() - self.cpu_ns

        @staticmethod
        def _cpu() -> int:
            guardian = Path(f"/proc/{wheels.pid}/schedstat").read_text().split()[0]
            return time.process_time_ns() + int(guardian)

    pilot, watch, wires = TimedPilot(), Watch(), Wires(wires_path)
    wheels.ready()
    vehicle = Vehicle(FrameCamera(), wheels, time.monotonic_ns, None, ExitStack())
    drive_vehicle(vehicle, pilot, Gate(), seconds, watch)
    captured = watch.seen[-1] - watch.seen[0]
    return {
        "ages_ms": pilot.ages_ms,
        "inference_ms": pilot.inference_ms,
        "frames": len(watch.seen) - 1,  # those whose CPU is counted
        "captured": captured,
        "cpu_ns": watch.cpu_ns,
        "pilot_cpu_ns": pilot.cpu_ns,
        "elapsed_ns": captured * 10**9 // FPS,
        "rss_mb": _rss_mb("self"),
        "guardian_rss_mb": _rss_mb(str(wheels.pid)),
        "cold_start_s": (watch.first_ns - spawned) / 1e9,
    }


def _rss_mb(process: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    frames, folder, variant, seconds, spawned = sys.argv[1:]
    parse(["drive"])
    start_quickly()
    load_config()
    path = str(Path(frames).with_name("wires"))
    wheels = GuardedWheels({"driver": "simulator", "wires": path}, wait=False)
    try:
        found = drive_frames(wheels, path, frames, (folder, variant), float(seconds), int(spawned))
    finally:
        wheels.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
