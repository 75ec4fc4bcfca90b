"""A Windows as far as it can be without one: run as a script, it takes away what only POSIX has.

``python tests/system/on_windows.py WORDS…`` runs ``autcar WORDS…`` where ``sys.platform`` is
``win32``, the modules and functions that Windows lacks are gone, and text files and output
are cp1252 unless somebody says otherwise. The libraries are loaded before, as their Linux
builds. ``--imports`` imports every module of a workstation instead.
"""

from __future__ import annotations

import asyncio  # noqa: F401 - before the platform changes
import concurrent.futures.process  # noqa: F401
import ctypes.util  # noqa: F401
import getpass  # noqa: F401
import importlib
import importlib.abc
import io
import multiprocessing.spawn  # noqa: F401
import os
import pkgutil
import shutil
import signal
import socket
import subprocess
import sys
import tarfile  # noqa: F401
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

for library in ("numpy", "cv2", "aiohttp", "matplotlib.pyplot", "rich.console", "simplejpeg"):
    with suppress(ImportError):
        importlib.import_module(library)

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "readline")
NAMES = {
    os: "fork forkpty getuid geteuid getgid getegid getgroups getpgid setsid killpg uname chown "
    "sync fdatasync statvfs fstatvfs posix_fallocate posix_fadvise sched_getaffinity "
    "sched_setaffinity sched_setscheduler setpriority getpriority nice wait4 WNOHANG mkfifo "
    "O_DIRECTORY O_NOFOLLOW O_CLOEXEC pread preadv pwrite pwritev sysconf confstr",
    signal: "SIGHUP SIGKILL SIGSTOP SIGCONT SIGUSR1 SIGALRM SIGPIPE alarm setitimer pthread_kill",
    socket: "AF_UNIX SO_REUSEPORT",
}
NOT_HERE = ("capture.keyboard", "capture.gamepad", "trainer.networks.")
"""Input devices of a Linux terminal, which say so when asked for; and what needs Keras at once."""


class _Gone(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r} (as on Windows)")


def pretend() -> None:
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, _Gone())
    # Windows has another way to ask for this, which shutil knows.
    statvfs = os.statvfs
    shutil.disk_usage = lambda path: SimpleNamespace(
        free=statvfs(path).f_bavail * statvfs(path).f_frsize
    )
    for owner, names in NAMES.items():
        for name in names.split():
            if hasattr(owner, name):
                delattr(owner, name)
    usual = subprocess.Popen.__init__

    def popen(self, *arguments, **options):
        for name in ("pass_fds", "preexec_fn", "start_new_session"):
            assert not options.get(name), f"{name} is not supported on Windows"
        usual(self, *arguments, **options)

    subprocess.Popen.__init__ = popen
    # The standard library has just read its own files; from here on it is ours that count.
    warnings.filterwarnings("error", category=EncodingWarning, module=r"(autcar|capture|edge)\b")
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        setattr(sys, name, io.TextIOWrapper(stream.detach(), "cp1252", line_buffering=True))
    tempfile.gettempdir()
    sys.platform = "win32"


def every_module() -> list[str]:
    """What of autcar a workstation may load."""
    found = []
    for package in ("autcar", "capture", "edge", "trainer"):
        found.append(package)
        walk = pkgutil.walk_packages([str(REPOSITORY / package)], f"{package}.")
        found += [module.name for module in walk]
    return [name for name in found if not name.startswith(NOT_HERE) and "__main__" not in name]


def main() -> int:
    pretend()
    if sys.argv[1:] == ["--imports"]:
        for name in every_module():
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                if "as on Windows" in str(error):
                    raise
        return 0
    from autcar.cli import main as autcar

    return autcar(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
