"""What a 64-bit Raspberry Pi would run, run here: Debian for Arm under emulation.

``python tests/system/arm64.py trixie`` (Python 3.13, LiteRT) or ``bookworm`` (Python 3.11,
tflite-runtime, NumPy 1, OpenCV 4.11) unpacks that system for arm64, installs what a car
installs from wheels for that platform, and checks inside it that everything imports,
that the shipped bundle scores 100 frames as it does on this machine, and that
``autcar doctor`` runs. Needs root, mmdebstrap and qemu-user-static. Trees are kept below
``AUTCAR_ARM64_CACHE`` (``~/.cache/autcar-arm64``).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("AUTCAR_ARM64_CACHE", Path.home() / ".cache/autcar-arm64"))
QEMU = "/usr/bin/qemu-aarch64-static"
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
# The newest C library that each system's wheels may want.
GLIBC = {"bookworm": 36, "trixie": 41}
FRAMES = 100

INSIDE = r"""
import json, platform, sys
import numpy as np
import aiohttp, cv2, gpiozero, simplejpeg
from importlib.metadata import version
from autcar.bundle import load_bundle, shipped_bundle
from autcar.interpreter import Interpreter
import autcar.cameras.opencv, autcar.verbs.calibrate, autcar.guardian, autcar.motors.servo
import autcar.motors.stepper, capture.daemon, edge.loop
frames = np.load("/frames.npy")
bundle = load_bundle(shipped_bundle())
scores = {}
for variant in bundle.manifest.variants:
    interpreter = Interpreter(bundle.path(variant))
    scores[variant.name] = [[float(s) for s in interpreter.run(frame)] for frame in frames]
print(json.dumps({
    "machine": platform.machine(), "python": platform.python_version(),
    "runtime": interpreter.runtime, "tensorflow": "tensorflow" in sys.modules,
    "versions": {n: version(n) for n in ("numpy", "opencv-python-headless", "gpiozero")},
    "scores": scores,
}))
"""


def missing() -> str | None:
    """Why nothing can be emulated here, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "unpacking a system for Arm needs root on Linux"
    for tool, package in (("mmdebstrap", "mmdebstrap"), (QEMU, "qemu-user-static")):
        if shutil.which(tool) is None:
            return f"{tool} is missing: apt install {package}"
    return None


def tree(suite: str) -> Path:
    """The unpacked system with the car's packages but autcar; made on first use."""
    wanted = _requirements(PYTHONS[suite])
    key = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:12]
    place = CACHE / f"{suite}-{key}"
    if place.is_dir():
        return place
    for old in CACHE.glob(f"{suite}-*"):
        shutil.rmtree(old)
    CACHE.mkdir(parents=True, exist_ok=True)
    new = CACHE / f"new-{suite}"
    shutil.rmtree(new, ignore_errors=True)
    _run(
        *("mmdebstrap", "--quiet", "--variant=extract", "--architectures=arm64"),
        *("--include=python3,libstdc++6,libgomp1", suite, str(new)),
    )
    # The wheels are this machine's pip's to fetch: nothing is emulated meanwhile.
    _run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"),
        *("--target", str(new / "opt/site"), "--only-binary=:all:", "--implementation", "cp"),
        *("--python-version", PYTHONS[suite], "--platform=manylinux2014_aarch64"),
        *(f"--platform=manylinux_2_{n}_aarch64" for n in range(17, GLIBC[suite] + 1)),
        *wanted,
    )
    shutil.copy(QEMU, new / "qemu")
    for name in ("bin", "lib", "sbin"):
        if not (new / name).exists():
            (new / name).symlink_to(f"usr/{name}")
    new.rename(place)
    return place


def _requirements(python: str) -> list[str]:
    """What ``autcar[car]`` asks for on a Pi with this Python."""
    from packaging.requirements import Requirement

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    pi = {"python_version": python, "sys_platform": "linux", "platform_machine": "aarch64"}
    wanted = map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["car"]])
    return [
        f"{one.name}{one.specifier}" for one in wanted if not one.marker or one.marker.evaluate(pi)
    ]


def install_autcar(place: Path) -> None:
    """Put this checkout's autcar, from its wheel, in place of whichever was there."""
    site = place / "opt/site"
    with tempfile.TemporaryDirectory() as folder:
        pip = (sys.executable, "-m", "pip")
        _run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, str(REPOSITORY))
        (wheel,) = Path(folder).glob("autcar-*.whl")
        _run(
            *(*pip, "install", "--quiet", "--no-deps", "--no-compile", "--upgrade"),
            *("--target", str(site), str(wheel)),
        )


def emulate(place: Path, *python: str) -> str:
    """What the tree's Python prints, run for Arm. /sys is hidden: LiteRT takes it for its own."""
    script = (
        'mkdir -p "$0/proc" "$0/dev" "$0/tmp" && '
        'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && '
        'exec chroot "$0" /qemu /usr/bin/python3 "$@"'
    )
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, place, *python],
        env={
            "PATH": "/usr/sbin:/usr/bin:/bin",
            "PYTHONPATH": "/opt/site",
            "HOME": "/tmp",
            "LANG": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    # The doctor ends with 1 where it finds a failure; anything else is one of ours.
    if done.returncode not in (0, 1) or not done.stdout:
        raise RuntimeError(f"{python} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def frames() -> np.ndarray:
    """What a simulated car sees on its way."""
    from autcar.config import Config
    from autcar.vehicle import open_vehicle

    with open_vehicle(Config(), realtime=False) as vehicle:
        vehicle.wheels.arm()
        seen = []
        for index in range(FRAMES):
            vehicle.wheels.drive(0.6, 0.6 if index % 20 < 15 else 0.3, 0, 2**62)
            seen.append(vehicle.camera.read().image)
    return np.stack(seen)


def check(suite: str) -> dict:
    """Do all of it; returns what was found. Raises where something is not as it should be."""
    from autcar.bundle import load_bundle, shipped_bundle
    from autcar.interpreter import Interpreter

    began = time.monotonic()
    place = tree(suite)
    install_autcar(place)
    made_s = time.monotonic() - began
    pictures = frames()
    np.save(place / "frames.npy", pictures)
    (place / "inside.py").write_text(INSIDE)
    found = json.loads(emulate(place, "/inside.py").splitlines()[-1])
    assert found["machine"] == "aarch64", found["machine"]
    assert found["python"].startswith(PYTHONS[suite]), found["python"]
    assert not found["tensorflow"]
    runtime = {"bookworm": "tflite-runtime", "trixie": "LiteRT"}[suite]
    assert found["runtime"] == runtime, found["runtime"]
    if suite == "bookworm":
        assert found["versions"]["numpy"].startswith("1."), found["versions"]
        assert found["versions"]["opencv-python-headless"].startswith("4.11"), found["versions"]

    bundle = load_bundle(shipped_bundle())
    differ = {}
    for variant in bundle.manifest.variants:
        interpreter = Interpreter(bundle.path(variant))
        here = np.array([interpreter.run(picture) for picture in pictures])
        there = np.array(found["scores"][variant.name])
        differ[variant.name] = {
            "largest_difference": float(np.abs(here - there).max()),
            "same_argmax": int((here.argmax(1) == there.argmax(1)).sum()),
        }
    float32, int8 = differ["float32"], differ["int8"]
    assert float32["largest_difference"] < 1e-4, differ
    assert float32["same_argmax"] == int8["same_argmax"] == FRAMES, differ

    doctor = json.loads(emulate(place, "-m", "autcar.cli", "doctor", "--json"))
    said = {row["what"]: row for row in doctor}
    assert "aarch64" in said["Python"]["found"], said["Python"]
    for what in ("numpy", "opencv-python-headless", "interpreter", "shipped bundle"):
        assert said[what]["state"] != "failure", said[what]
    return {
        "suite": suite,
        "made_s": round(made_s, 1),
        "seconds": round(time.monotonic() - began, 1),
        **{key: found[key] for key in ("python", "runtime", "versions")},
        "against_this_machine": differ,
        "doctor": {what: row["state"] for what, row in said.items()},
    }


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def main() -> int:
    """Check the systems that were named, both when none was."""
    if why := missing():
        print(f"skipped: {why}")
        return 0
    sys.path.insert(0, str(REPOSITORY))
    for suite in sys.argv[1:] or PYTHONS:
        print(json.dumps(check(suite)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
