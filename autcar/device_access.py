"""Who holds a device, and what to type when it is not ours to use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def holders_of(prefix: str, proc: Path = Path("/proc")) -> str:
    """Other programs that have a file open whose path begins so: ``"motion (pid 812)"``, or "".

    Another user's programs are seen only by root.
    """
    found = set()
    for process in proc.glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with suppress(OSError):
            if any(str(f.readlink()).startswith(prefix) for f in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8").strip()
                found.add(f"{name} (pid {process.name})")
    return ", ".join(sorted(found))


def advice_for(device: str, group: str) -> str:
    """What to type when this user may not use a device that is there; "" where that is not it."""
    if Path(device).exists() and not os.access(device, os.R_OK | os.W_OK):
        return f"{device} is not yours to use: sudo usermod -aG {group} $USER, then log in again"
    return ""
