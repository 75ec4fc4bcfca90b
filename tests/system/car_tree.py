"""A whole car in a folder: Debian with Python 3.13, autcar installed from its wheel, bootable.

The Debian tree and the wheels autcar needs are made once and kept below
``AUTCAR_TEST_CACHE`` (``~/.cache/autcar-tests``); each test boots an overlay of it with
the real systemd as its first process. Needs root, mmdebstrap and systemd-nspawn.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CACHE = Path(os.environ.get("AUTCAR_TEST_CACHE", Path.home() / ".cache/autcar-tests"))
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,openssh-server,sudo"
PYTHON = "3.13"

# systemd needs a cgroup tree of its own, and must not see the one around it.
_BOOT = r"""
groups=$(findmnt -rnt cgroup2 -o TARGET | head -1)
own=$groups/autcar-test.$$
mkdir "$own"
(
    echo $BASHPID > "$own/cgroup.procs"
    exec unshare --mount --propagation private bash -c '
        umount -R /sys/fs/cgroup
        mount -t cgroup2 none /sys/fs/cgroup
        exec timeout -s KILL "$0" systemd-nspawn --quiet --register=no --keep-unit \
            --private-network --link-journal=no --system-call-filter=bpf --capability=all \
            "$@" --boot
    ' "$@"
)
code=$?
for _ in 1 2 3 4 5; do
    find "$own" -depth -type d -exec rmdir {} + 2>/dev/null
    [ -d "$own" ] || break
    sleep 0.2
done
exit $code
"""


def missing() -> str | None:
    """Why a car cannot be booted here, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "booting a car's system needs root on Linux"
    for tool in ("mmdebstrap", "systemd-nspawn", "unshare"):
        if shutil.which(tool) is None:
            return f"{tool} is missing: apt install mmdebstrap systemd-container"
    if not subprocess.run(["findmnt", "-rnt", "cgroup2"], capture_output=True, check=False).stdout:
        return "there is no cgroup2 mount for systemd to live in"
    return None


def debian() -> Path:
    """The tree with Python and all that autcar needs but autcar; made on first use."""
    with open(REPOSITORY / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["car"]]
    key = hashlib.sha256(json.dumps([PACKAGES, PYTHON, wanted]).encode()).hexdigest()[:12]
    tree = CACHE / f"trixie-{key}"
    if tree.is_dir():
        return tree
    CACHE.mkdir(parents=True, exist_ok=True)
    new = CACHE / "new"
    for old in (new, *CACHE.glob("trixie-*")):
        shutil.rmtree(old, ignore_errors=True)
    _run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "trixie", new)
    wheels = new / "wheels"
    _run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", wheels),
        *("--python-version", PYTHON, "--implementation", "cp", "--only-binary=:all:"),
        *(f"--platform=manylinux_2_{glibc}_{os.uname().machine}" for glibc in (17, 27, 28, 34)),
        *_for_python(wanted),
    )
    _run("chroot", new, "python3", "-m", "venv", "/opt/autcar/a")
    pip = ("/opt/autcar/a/bin/pip", "install", "--quiet", "--no-index", "--find-links=/wheels")
    _run("chroot", new, *pip, *_for_python(wanted))
    new.rename(tree)
    return tree


def _for_python(requirements: list[str]) -> list[str]:
    """Those of the requirements that a car with this Python needs."""
    from packaging.requirements import Requirement

    here = {"python_version": PYTHON, "sys_platform": "linux"}
    parsed = map(Requirement, requirements)
    return [
        f"{found.name}{found.specifier}"
        for found in parsed
        if found.marker is None or found.marker.evaluate(here)
    ]


class Car:
    """An overlay of the tree, with this checkout's autcar installed in slot a."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.results = folder / "results"
        for name in ("root", "results", "upper", "work"):
            (folder / name).mkdir()
        layers = f"lowerdir={debian()},upperdir={folder}/upper,workdir={folder}/work"
        _run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        try:
            wheels = self.root / "wheels"
            pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
            _run(*pip, "--wheel-dir", wheels, REPOSITORY)
            (self.wheel,) = wheels.glob("autcar-*.whl")
            inside = ("/opt/autcar/a/bin/pip", "install", "--quiet", "--no-index", "--no-deps")
            _run("chroot", self.root, *inside, f"/wheels/{self.wheel.name}")
        except BaseException:
            self.close()
            raise

    def boot(self, script: Path, *arguments: str, within_s: int = 600) -> str:
        """Boot, run ``script`` as root by the car's Python, power off; returns the console."""
        shutil.copy(script, self.root / "scenario.py")
        shutil.copy(REPOSITORY / "tests/cockpit_page.py", self.root)
        # By the software in use: the other slot may hold none.
        python = "p=/opt/autcar/current; [ -e $p ] || p=/opt/autcar/a; exec $p/bin/python"
        command = f"/bin/sh -c '{python} -u /scenario.py {' '.join(arguments)}'"
        (self.root / "etc/systemd/system/scenario.service").write_text(
            "[Unit]\nAfter=multi-user.target\nSuccessAction=poweroff-force\n"
            "FailureAction=poweroff-force\n"
            "[Service]\nType=oneshot\nStandardOutput=journal+console\n"
            f"TimeoutStartSec={within_s}\nExecStart={command.replace('$', '$$')}\n"
            "[Install]\nWantedBy=default.target\n"
        )
        _run("systemctl", "--quiet", f"--root={self.root}", "enable", "scenario.service")
        done = subprocess.run(
            [
                *("bash", "-c", _BOOT, "_", str(within_s), "-D", self.root),
                f"--bind={self.results}:/results",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        return done.stdout

    def close(self) -> None:
        """Take the overlay away."""
        subprocess.run(["umount", "--lazy", self.root], check=False)


def _run(*command: str | Path) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
