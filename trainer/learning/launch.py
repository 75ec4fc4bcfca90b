"""Start the other workers from the first one, over ssh."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = ("127.0.0.1", "localhost")


def worker_commands(hosts: Sequence[str], words: Sequence[str], folder: Path) -> list[list[str]]:
    """What starts workers 1, 2 … of ``hosts``: ``autcar`` with ``words``, in ``folder`` there.

    Other machines are reached by ``ssh`` without a password and have ``autcar`` on their
    path and the same recordings.
    """
    commands = []
    for index, host in enumerate(hosts[1:], start=1):
        mine = [word for word in words if word != "--launch"] + ["--worker", str(index)]
        name = host.rpartition(":")[0]
        if name in HERE:
            commands.append([sys.executable, "-m", "autcar", *mine])
        else:
            there = f"cd {shlex.quote(str(folder))} && {shlex.join(['autcar', *mine])}"
            commands.append(["ssh", "-o", "BatchMode=yes", name, there])
    return commands


@contextlib.contextmanager
def other_workers(commands: Sequence[Sequence[str]]) -> Iterator[None]:
    """The processes of ``commands``, for as long as this worker lives; errors are shown."""
    workers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    try:
        yield
        for worker in workers:
            worker.wait()
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()
