"""The verb ``autcar bench``: how fast this car is, and which file of a bundle suits it best.

No wheel turns: the loop that is measured drives motors that are none.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autcar.arguments import positive, seconds

if TYPE_CHECKING:
    from autcar.bundle import Bundle
    from autcar.cameras.base import Camera, Frame
    from autcar.config import Config
    from edge.pilots import Pilot, Scores

WARM_UP = 20
ROUNDS = 3
WORTH_IT = 0.9
"""More threads must take at most this share of the time: they take power and other work's turn."""
DISK_BYTES = 8 << 20

_EXAMPLES = """\
examples:
  autcar bench                                inference, camera, loop, disk; no wheel turns
  autcar bench inference --bundle models/mine --threads 2
  autcar bench --choose --bundle models/mine  drive with the fastest file and threads from now on
"""


_CAMERA = (
    "camera       {frames_per_s:.1f} frames/s, between them ± {gap_mad_ms:.1f} ms; "
    "{age_median_ms:.1f} ms old when read; {missed_percent:.1f} % missed; {cpu_ms:.2f} ms CPU each"
)
_LOOP = (
    "loop         {frames_per_s:.1f} frames/s; from exposure to command {age_median_ms:.1f} ms "
    "(p95 {age_p95_ms:.1f}); CPU a frame {cpu_ms:.2f} ms, of it the interpreter "
    "{pilot_cpu_ms:.2f}"
)
_DISK = (
    "disk         {mb_per_s:.0f} MB/s; a frame is safe after {sync_median_ms:.1f} ms, at worst "
    "{sync_worst_ms:.1f} ms"
)


def add_verbs(verbs: Any) -> None:
    """Add ``bench``."""
    parser = verbs.add_parser(
        "bench",
        help="see how fast this car is, and choose the file it drives with",
        description="Measure this car: a bundle's files, the camera, the loop, the disk.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("what", nargs="*", metavar="WHAT", help="inference, camera, loop or disk (all)")
    add("--config", metavar="FILE", help="car.toml (default: ./car.toml if there)")
    add("--bundle", metavar="FOLDER", help="default: what this car's service drives, or shipped")
    add("--threads", type=positive, default=1, help="of the interpreter (1)")
    add("--runs", type=positive, default=300, help="inferences to time (300)")
    add("--seconds", type=seconds, default=5.0, help="for the camera, and for the loop (5)")
    add(
        "--choose",
        action="store_true",
        help="time each file on 1 thread and more, never on all cores, and let `autcar drive` "
        "use the fastest for this bundle on this machine",
    )
    add("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=bench)


def bench(arguments: argparse.Namespace) -> int:
    """Run the verb; returns the exit code."""
    from autcar.appliance.model_store import ModelStore
    from autcar.bundle import load_bundle
    from autcar.config import load_config
    from autcar.machine import Machine, describe_machine

    wanted = _parts(arguments)
    config = load_config(arguments.config)
    bundle = load_bundle(arguments.bundle or ModelStore().active())
    facts: dict[str, Any] = {"machine": describe_machine(), "bundle": str(bundle.folder)}
    print(f"{bundle.folder} on {facts['machine']}")
    before = Machine().temperature_c
    if arguments.choose:
        facts |= _choose(bundle, arguments.runs)
    elif "inference" in wanted:
        facts |= _inference(bundle, [arguments.threads], arguments.runs)
    if "camera" in wanted:
        facts["camera"] = _with_camera(config, lambda eye: time_camera(eye, arguments.seconds))
        print(_CAMERA.format(**facts["camera"]))
    if "loop" in wanted:
        facts["loop"] = time_loop(config, bundle.folder, arguments.seconds)
        print(_LOOP.format(**facts["loop"]))
    if "disk" in wanted:
        facts["disk"] = time_disk(Path(config.record.folder))
        print(_DISK.format(**facts["disk"]))
    facts["temperature_c"] = [before, Machine().temperature_c]
    print(f"temperature  {_degrees(before)} → {_degrees(facts['temperature_c'][1])}")
    if arguments.json:
        print(json.dumps(facts))
    return 0


def _parts(arguments: argparse.Namespace) -> Sequence[str]:
    from autcar.errors import ConfigError

    known = ("inference", "camera", "loop", "disk")
    if odd := [part for part in arguments.what if part not in known]:
        raise ConfigError(f"there is no {odd[0]!r} to measure; there are {', '.join(known)}")
    return arguments.what or (() if arguments.choose else known)


@dataclass(frozen=True)
class Timing:
    """One variant on so many threads: ms a frame, their deviation between rounds, and kB."""

    variant: str
    threads: int
    median_ms: float
    mad_ms: float
    p95_ms: float
    kb: float


def time_variants(bundle: Bundle, threads: Sequence[int], runs: int) -> list[Timing]:
    """Time each variant of ``bundle`` on each number of ``threads``, in turn.

    ``mad_ms`` is the median absolute deviation between :data:`ROUNDS` rounds.
    """
    import numpy as np

    from autcar.interpreter import Interpreter

    shape = (bundle.manifest.height, bundle.manifest.width, 3)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    pairs = [(variant, count) for variant in bundle.manifest.variants for count in threads]
    times: list[list[list[float]]] = [[] for _ in pairs]
    for _ in range(ROUNDS):
        for number, (variant, count) in enumerate(pairs):
            # Opened anew: the threads of tflite-runtime spin on after a run, in others' way.
            interpreter = Interpreter(bundle.path(variant), count)
            times[number].append(_time(partial(interpreter.run, image), runs))
    return [
        _timing(variant.name, count, rounds, variant.size)
        for (variant, count), rounds in zip(pairs, times, strict=True)
    ]


def _time(action: Callable[[], object], runs: int) -> list[float]:
    """Milliseconds of each of ``runs`` calls, after some to warm up."""
    found = []
    for number in range(WARM_UP + -(-runs // ROUNDS)):
        began = time.perf_counter_ns()
        action()
        if number >= WARM_UP:
            found.append((time.perf_counter_ns() - began) / 1e6)
    return found


def _timing(variant: str, threads: int, rounds: list[list[float]], size: int) -> Timing:
    medians = [statistics.median(times) for times in rounds]
    every = sorted(value for times in rounds for value in times)
    return Timing(
        variant,
        threads,
        round(statistics.median(every), 3),
        round(_deviation(medians), 3),
        round(every[int(0.95 * (len(every) - 1))], 3),
        round(size / 1000, 1),
    )


def _inference(bundle: Bundle, threads: Sequence[int], runs: int) -> dict[str, Any]:
    """Time, print, and give the facts for JSON."""
    from autcar.interpreter import find_runtime

    runtime = find_runtime()[0]
    timings = time_variants(bundle, threads, runs)
    print(f"inference by {runtime}")
    print(f"  {'file':<10}{'threads':>8}{'median ms':>11}{'± MAD':>8}{'p95 ms':>9}{'kB':>8}")
    for row in timings:
        print(
            f"  {row.variant:<10}{row.threads:>8}{row.median_ms:>11.3f}{row.mad_ms:>8.3f}"
            f"{row.p95_ms:>9.3f}{row.kb:>8.1f}"
        )
    return {"runtime": runtime, "variants": [asdict(timing) for timing in timings]}


def _choose(bundle: Bundle, runs: int) -> dict[str, Any]:
    from autcar.variant_choice import Choice, remember

    facts = _inference(bundle, threads_to_try(), runs)
    best = fastest([Timing(**row) for row in facts["variants"]])
    choice = Choice(best.variant, best.threads, facts["runtime"], best.median_ms)
    path = remember(bundle, choice)
    print(
        f"`autcar drive` uses {best.variant} on {best.threads} thread(s) for this bundle here "
        f"from now on; to forget it, remove {path}"
    )
    return facts | {"choice": asdict(choice)}


def threads_to_try() -> list[int]:
    """1 and more, but never all cores: the camera, the guardian and the system need one."""
    return list(range(1, max(1, cores() - 1) + 1))


def cores() -> int:
    """Those that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fastest(timings: Sequence[Timing]) -> Timing:
    """The fastest; of several, the one with the fewest threads that others hardly beat."""
    best = min(timings, key=lambda timing: timing.median_ms)
    near = [timing for timing in timings if timing.median_ms * WORTH_IT <= best.median_ms]
    return min(near, key=lambda timing: (timing.threads, timing.median_ms))


def _with_camera(config: Config, work: Callable[[Camera], dict[str, float]]) -> dict[str, float]:
    if config.camera.driver == "simulator":
        from autcar.cameras.simulator import SimulatedCamera
        from autcar.vehicle import make_world

        with SimulatedCamera(make_world(config), fps=config.camera.fps, realtime=True) as eye:
            return work(eye)
    from autcar.cameras import open_camera

    with open_camera(config.camera) as eye:
        return work(eye)


def time_camera(camera: Camera, seconds: float) -> dict[str, float]:
    """How steadily frames come, how old they are then, and what they cost."""
    first = camera.read(5.0)
    ages: list[float] = []
    gaps: list[float] = []
    before = first
    cpu_ns, until = time.process_time_ns(), time.monotonic() + seconds
    while time.monotonic() < until or not ages:
        frame = camera.read()
        ages.append((time.monotonic_ns() - frame.time_ns) / 1e6)
        gaps.append((frame.time_ns - before.time_ns) / 1e6)
        before = frame
    cpu_ns = time.process_time_ns() - cpu_ns
    return {
        "frames_per_s": round(len(gaps) * 1000 / sum(gaps), 2),
        "gap_mad_ms": round(_deviation(gaps), 3),
        "age_median_ms": round(statistics.median(ages), 3),
        "missed_percent": round(100 * (1 - len(ages) / (before.sequence - first.sequence)), 2),
        "cpu_ms": round(cpu_ns / len(ages) / 1e6, 3),
    }


class TimedPilot:
    """A pilot, and the CPU time it took."""

    def __init__(self, pilot: Pilot) -> None:
        self._pilot = pilot
        self.cpu_ns = 0

    def scores(self, frame: Frame) -> Scores:
        """The pilot's."""
        began = time.thread_time_ns()
        scores = self._pilot.scores(frame)
        self.cpu_ns += time.thread_time_ns() - began
        return scores


def time_loop(config: Config, folder: Path, seconds: float) -> dict[str, float]:
    """Camera, pilot and gate as in ``autcar drive``, with no motors and no guardian."""
    from autcar.motors.base import Motors
    from autcar.safety import Gate
    from autcar.wheels import DirectWheels
    from edge.drive import open_bundle
    from edge.loop import Loop

    class NoMotors(Motors):
        def drive(self, left: float, right: float) -> None:
            pass

        def close(self) -> None:
            pass

    pilot = TimedPilot(open_bundle(folder, None, config)[0])

    def turn(camera: Camera) -> dict[str, float]:
        loop = Loop(camera, pilot, DirectWheels(NoMotors()), Gate(config.safety))
        loop.arm()
        ticks = loop.ticks()
        next(ticks)
        pilot.cpu_ns = 0
        ages: list[float] = []
        pilots: list[float] = []
        cpu_ns, began = time.process_time_ns(), time.monotonic()
        while time.monotonic() < began + seconds or not ages:
            tick = next(ticks)
            if tick.frame is not None:
                ages.append(tick.age_ns / 1e6)
                pilots.append(tick.pilot_ns / 1e6)
        cpu_ns = time.process_time_ns() - cpu_ns
        loop_s = time.monotonic() - began
        ticks.close()
        return {
            "frames_per_s": round(len(ages) / loop_s, 2),
            "age_median_ms": round(statistics.median(ages), 3),
            "age_p95_ms": round(sorted(ages)[int(0.95 * (len(ages) - 1))], 3),
            "pilot_ms": round(statistics.median(pilots), 3),
            "cpu_ms": round(cpu_ns / len(ages) / 1e6, 3),
            "pilot_cpu_ms": round(pilot.cpu_ns / len(ages) / 1e6, 3),
        }

    return _with_camera(config, turn)


def time_disk(folder: Path) -> dict[str, float]:
    """How fast the disk below ``folder`` takes 8 MB for good, and the longest of 10 small ones."""
    place = folder.resolve()
    while not place.is_dir():
        place = place.parent
    with tempfile.TemporaryFile(dir=place) as file:
        began = time.perf_counter()
        file.write(bytes(DISK_BYTES))
        file.flush()
        os.fsync(file.fileno())
        rate = DISK_BYTES / 1e6 / (time.perf_counter() - began)
        waits = []
        for _ in range(10):
            began = time.perf_counter()
            file.write(bytes(16 << 10))
            file.flush()
            os.fsync(file.fileno())
            waits.append((time.perf_counter() - began) * 1000)
    return {
        "mb_per_s": round(rate, 1),
        "sync_median_ms": round(statistics.median(waits), 2),
        "sync_worst_ms": round(max(waits), 2),
    }


def _degrees(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} °C"


def _deviation(values: Sequence[float]) -> float:
    middle = statistics.median(values)
    return statistics.median(abs(value - middle) for value in values)
