"""A workstation with Windows, as far as Linux can play it: see ``on_windows.py``.

Shown: no verb of a workstation needs a module, function, flag or encoding that Windows has
not, and no file is given a name that Windows refuses. Not shown: how its own builds of
NumPy, OpenCV, TensorFlow and ssh behave, its file locks, its console.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest

from autcar.bundle import shipped_bundle
from autcar.commands import LABELS

WINDOWS = Path(__file__).with_name("on_windows.py")

_SSH = """
import io, json, sys, tarfile
words = sys.argv[-1].split()
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if "facts" in words:
    print(json.dumps({facts}))
elif "receive" in words:
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        print(json.dumps({{"name": "mine-" + str(len(tar.getnames()))}}))
elif "use" in words:
    print(json.dumps({{"said": "ready and healthy \\u2713"}}))
elif "offer" in words:
    print(json.dumps({offer}))
"""


class Workstation:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.offer: dict[str, list[int]] = {}
        facts = {
            "protocol": 1,
            "autcar": "0",
            "camera": [224, 168, 20.0],
            "labels": list(LABELS),
            "running": {},
            "services": {"drive": "runs"},
            "model": "shipped",
            "free_mb": 1000,
        }
        self.facts = facts
        (folder / "bin").mkdir()
        self._ssh()

    def _ssh(self) -> None:
        ssh = self.folder / "bin/ssh"
        log = str(self.folder / "ssh.log")
        ssh.write_text(
            f"#!{sys.executable}"
            + _SSH.format(log=log, facts=repr(self.facts), offer=repr(self.offer))
        )
        ssh.chmod(0o755)

    def __call__(self, *words: str) -> tuple[int, str]:
        self._ssh()
        done = subprocess.run(
            [
                *(sys.executable, "-X", "warn_default_encoding"),
                *("-W", "ignore::EncodingWarning", str(WINDOWS), *words),
            ],
            cwd=self.folder,
            capture_output=True,
            env={
                **os.environ,
                "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
                "USERNAME": "pupil",  # as Windows sets it
            },
            timeout=120,
        )
        said = done.stdout.decode("cp1252") + done.stderr.decode("cp1252", "replace")
        assert "Traceback" not in said, said
        return done.returncode, said

    @property
    def asked(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "ssh.log").read_text().splitlines()]


@pytest.fixture
def windows(tmp_path):
    return Workstation(tmp_path)


def test_every_module_of_a_workstation_loads(windows):
    code, said = windows("--imports")
    assert code == 0, said


def test_it_records_looks_drives_and_replays_in_the_simulator(windows):
    steps = (
        ("record", "--pilot", "expert", "--frames", "80", "--output", "recordings"),
        ("data", "check", "recordings"),
        ("data", "list", "recordings"),
        ("drive", "--fast", "--seconds", "2", "--log", "drives", "--log-frames"),
        ("drive", "--seconds", "1"),  # in real time, without a guardian
        ("config",),
        ("models", "list"),
    )
    for step in steps:
        code, said = windows(*step)
        assert code == 0, f"{step}: {said}"
    (run,) = (windows.folder / "drives").iterdir()
    code, said = windows("replay", f"drives/{run.name}")
    assert code == 0, said
    for path in windows.folder.rglob("*"):
        name = path.relative_to(windows.folder).as_posix()
        assert not re.search(r'[<>:"\\|?*\x00-\x1f]|[ .](/|$)', name), f"Windows refuses {name!r}"
        assert not PureWindowsPath(name).is_reserved(), name


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("service", "status"), "services need Linux with systemd"),
        (("service", "install", "--dry-run"), "services need Linux with systemd"),
        (("service", "arm"), "no service runs on this machine"),
        (("update",), "autcar update --car pi@car.local"),
        (("record", "--keyboard", "--no-cockpit"), "--keyboard needs a terminal of Linux"),
    ],
)
def test_what_only_a_car_can_is_refused_in_a_line(windows, words, why):
    code, said = windows(*words)
    assert code == 2
    assert why in said
    assert len(said.strip().splitlines()) == 1


def test_it_deploys_by_its_own_ssh(windows):
    shutil.copytree(shipped_bundle(), windows.folder / "mine")
    code, said = windows("deploy", "pi@car", "mine", "--skip", "simulator")
    assert code == 0, said
    assert "? pi@car  ready and healthy ?" in said  # ✓ is not in cp1252
    remote = [command[-1].split() for command in windows.asked]
    assert [words[2] for words in remote] == ["facts", "receive", "use"]
    assert remote[2][3] == "mine-4"  # manifest, card and two variants went up, in one stream
    code, said = windows("status", "pi@car")
    assert code == 0
    assert "model shipped" in said


def test_a_drive_letter_is_a_path_and_no_host(windows):
    code, said = windows("deploy", r"C:\models\mine")
    assert code == 2
    assert "name a car" in said
    code, said = windows("deploy", "pi@car", r"C:\models\mine")
    assert code == 2
    assert r"there is no bundle at C:\models\mine" in said
    assert not (windows.folder / "ssh.log").exists()


@pytest.mark.parametrize("name", ["C:evil.jpg", r"C:\evil.jpg", r"..\evil.jpg", r"lap\..\..\x"])
def test_a_car_cannot_write_beside_the_recordings(windows, name):
    windows.offer = {name: [1, 1]}
    code, said = windows("data", "pull", "pi@car")
    assert code == 1
    assert "outside its recordings" in said
