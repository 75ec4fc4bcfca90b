"""What stands above every table: the machine, its load, and what was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from peers.environments import DONKEYCAR


def facts() -> dict[str, str]:
    """Machine, load, versions and revision, in words."""
    return {
        "machine": f"{os.cpu_count()} × {processor()}, {memory_gb():.0f} GB, {platform.system()}",
        "load": load(),
        "Python": platform.python_version(),
        "versions": ", ".join(map(_version, ("numpy", "ai-edge-litert", "tensorflow", "keras"))),
        "peer": f"Donkeycar {DONKEYCAR}",
        "revision": _revision(),
    }


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line for line in lines if line.startswith(("model name", "Model"))]
    return names[-1].partition(":")[2].strip() if names else platform.machine()


def memory_gb() -> float:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def load() -> str:
    """Processes that wanted to run, over the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def _version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"no {package}"


def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    folder = Path(__file__).parent
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
