"""The Pythons that the peers run in: one environment each, made once in the cache folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

DONKEYCAR = "5.3.0"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "autcar"


def donkey_python() -> str:
    """Donkeycar as it drives and records on a car, without TensorFlow."""
    packages = (f"donkeycar=={DONKEYCAR}", "ai-edge-litert>=2.1,<3", "opencv-python-headless<4.12")
    return _environment(f"donkeycar-{DONKEYCAR}", packages)


def donkey_training_python() -> str:
    """Donkeycar as it trains, with the TensorFlow that it pins: some 600 MB."""
    packages = (
        *(f"donkeycar=={DONKEYCAR}", "tensorflow==2.15.*"),
        *("opencv-python-headless<4.12", "albumentations", "matplotlib"),
    )
    return _environment(f"donkeycar-{DONKEYCAR}-training", packages)


def tflite_python() -> str | None:
    """tflite-runtime, the runtime of older Raspberry Pi systems; None where it has no wheel."""
    if python311() is None or sys.platform != "linux":
        return None
    return _environment("tflite-runtime-2.14", ("tflite-runtime==2.14.0", "numpy<2"))


def python311() -> str | None:
    """A Python 3.11, which all of these packages want, None where there is none."""
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    found = shutil.which("python3.11")
    # What is found may be a version manager's stand-in for one that is not installed.
    works = found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0
    return found if works else None


def _environment(name: str, packages: tuple[str, ...]) -> str:
    """The environment's Python, made when it is not there."""
    folder = _CACHE / name
    python = folder / "bin" / "python"
    if not (folder / "ready").is_file():
        base = python311()
        if base is None:
            raise SystemExit(f"{name} needs Python 3.11; install it, or say --no-peers")
        print(f"installing {name} into {folder} (once)", file=sys.stderr, flush=True)
        subprocess.run([base, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        (folder / "ready").touch()
    return str(python)
