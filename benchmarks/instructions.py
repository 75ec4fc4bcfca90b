"""Instructions a frame on 64-bit Arm: a figure that this machine's noise does not touch.

Counts, under QEMU, what one turn of the driving loop executes: frame, pilot, gate and
command to the wheels, for the shipped bundle and for AutCar's own network. LiteRT cannot
tell the processor under emulation and takes its plain NEON kernels, as on a Pi 4; a Pi 5
has instructions that make int8 shorter. Run from the repository as root:
``python benchmarks/instructions.py``. Needs TensorFlow, gcc, mmdebstrap, qemu-user and
qemu-user-static. Prints a table and a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.system import arm64

CPU = "cortex-a72"  # a Pi 4's
TURNS = 10
PLUGIN = Path(__file__).with_name("count_instructions.c")

INSIDE = r"""
import os, sys, time
import cv2
import numpy as np
from autcar.cameras.base import Camera, Frame
from autcar.interpreter import Interpreter
from autcar.motors.base import Motors
from autcar.safety import Gate, Limits
from autcar.wheels import DirectWheels
from edge.loop import Loop

cv2.setNumThreads(1)
model, frames, turns = sys.argv[1], np.load(sys.argv[2]), int(sys.argv[3])
interpreter = Interpreter(model)

class Recorded(Camera):
    sequence = 0
    def read(self, timeout_s=1.0):
        self.sequence += 1
        image = frames[self.sequence % len(frames)]
        return Frame(image, self.sequence, self.sequence * 50_000_000)
    def close(self):
        pass

class Pilot:
    def scores(self, frame):
        return interpreter.run(frame.image).tolist()

class NoMotors(Motors):
    def drive(self, left, right):
        pass
    def close(self):
        pass

# A clock of its own: emulation is slow, and the gate must not see it as a fault.
camera = Recorded()
loop = Loop(camera, Pilot(), DirectWheels(NoMotors()), Gate(Limits(confidence=0.0)),
            clock=lambda: camera.sequence * 50_000_000)
loop.arm()
ticks = loop.ticks()
for _ in range(3):
    next(ticks)
assert next(ticks).verdict.reason is None
os.getppid()
for _ in range(turns):
    tick = next(ticks)
os.getppid()
assert tick.verdict.reason is None, tick.verdict
for _ in range(turns):
    interpreter.run(frames[0])
os.getppid()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS, help=f"frames to count ({TURNS})")
    arguments = parser.parse_args()
    if why := missing():
        print(f"skipped: {why}")
        return 0
    place = arm64.tree("trixie")
    arm64.install_autcar(place)
    rows = []
    print("million instructions a frame, Python 3.13 and LiteRT on aarch64, one thread")
    print(f"{'model':<24}{'whole loop':>12}{'interpreter':>13}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        plugin = work / "count.so"
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", plugin, PLUGIN], check=True)
        pictures = arm64.frames()
        arm64.np.save(work / "frames.npy", pictures)
        (work / "inside.py").write_text(INSIDE)
        for name, model in models(work, pictures):
            loop, alone = count(place, plugin, work, model, arguments.turns)
            rows.append({"model": name, "loop": loop, "interpreter": alone})
            print(f"{name:<24}{loop / 1e6:>12.2f}{alone / 1e6:>13.2f}", flush=True)
    print(json.dumps({"turns": arguments.turns, "instructions_per_frame": rows}))
    return 0


def missing() -> str | None:
    """Why nothing can be counted here, or None."""
    if why := arm64.missing():
        return why
    for tool, package in (("qemu-aarch64", "qemu-user"), ("gcc", "gcc")):
        if shutil.which(tool) is None:
            return f"{tool} is missing: apt install {package}"
    return None


def models(work: Path, pictures: arm64.np.ndarray) -> list[tuple[str, Path]]:
    """The shipped bundle's files, and AutCar's network, untrained: it computes as much."""
    from autcar.bundle import load_bundle, shipped_bundle

    bundle = load_bundle(shipped_bundle())
    found = [(f"default {v.name}", bundle.path(v)) for v in bundle.manifest.variants]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from trainer.networks import build_network
    from trainer.proof.quantize import to_tflite

    network = build_network("autcar", 168, 224, 12)
    for kind in ("int8", "float32"):
        path = work / f"autcar_{kind}.tflite"
        path.write_bytes(to_tflite(network, kind, pictures[:16]))
        found.append((f"AutCar's CNN {kind}", path))
    return found


def count(place: Path, plugin: Path, work: Path, model: Path, turns: int) -> tuple[int, int]:
    """Instructions of one turn of the loop, and of the interpreter alone."""
    counts = work / "counts"
    counts.unlink(missing_ok=True)
    # In a mount namespace of its own, /sys is hidden: LiteRT would take this machine's
    # processors for the emulated ones.
    command = [
        *("unshare", "--mount", "--propagation", "private"),
        *("sh", "-c", 'mount -t tmpfs none /sys && exec "$@"', "sh"),
        *("qemu-aarch64", "-R", "0x4000000000", "-cpu", CPU, "-L", str(place)),
        *("-plugin", str(plugin), "-E", f"PYTHONHOME={place}/usr"),
        *("-E", f"PYTHONPATH={place}/opt/site", str(place / "usr/bin/python3")),
        *(str(work / "inside.py"), str(model), str(work / "frames.npy"), str(turns)),
    ]
    environment = {**os.environ, "AUTCAR_COUNTS": str(counts)}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    begun, looped, ran = [int(line) for line in counts.read_text().split()][-3:]
    return (looped - begun) // turns, (ran - looped) // turns


if __name__ == "__main__":
    sys.exit(main())
