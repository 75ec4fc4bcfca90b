"""The computer that this runs on: what its small files and programs tell."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


def describe_machine() -> str:
    """What this machine is, in a few words."""
    return f"{platform.machine()} {platform.system()}, Python {platform.python_version()}"


def _run(*command: str) -> str:
    """What a program prints, or "" where there is none or it fails or hangs."""
    import subprocess

    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _group_names() -> set[str]:
    if not hasattr(os, "getgroups"):
        return set()  # Windows
    import grp

    names = set()
    for number in {*os.getgroups(), os.getegid()}:
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return names


@dataclass(frozen=True)
class Machine:
    """What the checks look at; a test gives another one."""

    root: Path = Path("/")
    run: Callable[..., str] = _run
    groups: Callable[[], set[str]] = _group_names
    superuser: bool = field(default_factory=lambda: hasattr(os, "geteuid") and os.geteuid() == 0)
    now: Callable[[], float] = time.time

    def text(self, path: str) -> str:
        """A small file of the system, "" where it is missing or not ours to read."""
        try:
            return (self.root / path).read_text("utf-8", "replace").strip("\0\n ")
        except OSError:
            return ""

    @property
    def model(self) -> str:
        """The Raspberry Pi's model, "" on any other machine."""
        model = self.text("proc/device-tree/model")
        return model if "Raspberry Pi" in model else ""

    @property
    def temperature_c(self) -> float | None:
        """Of the processor, None where the system does not say."""
        try:
            return int(self.text("sys/class/thermal/thermal_zone0/temp")) / 1000
        except ValueError:
            return None
