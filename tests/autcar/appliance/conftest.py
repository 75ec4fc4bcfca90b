"""A car's folders below a test's own, and programs that stand in for systemctl and ssh."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """A folder first on the path: a script put there is found in a real program's place."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def put(folder: Path, name: str, script: str) -> None:
    """A shell script as a program."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def car(tmp_path, monkeypatch, programs) -> Path:
    """This machine as a car with no service running; its folder."""
    folder = tmp_path / "car"
    for name in ("state", "run"):
        (folder / name).mkdir(parents=True)
    monkeypatch.setenv("AUTCAR_STATE", str(folder / "state"))
    monkeypatch.setenv("AUTCAR_RUN", str(folder / "run"))
    monkeypatch.setenv("AUTCAR_CONFIG", str(folder / "car.toml"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    shows(programs, ActiveState="inactive")
    return folder


def shows(programs: Path, **properties: str) -> None:
    """``systemctl show`` answers with these; every call is noted in ``systemctl.log``."""
    usual = {
        "LoadState": "loaded",
        "ActiveState": "inactive",
        "SubState": "dead",
        "Result": "success",
        "NRestarts": "0",
        "StatusText": "",
        "ExecMainStatus": "0",
        "MainPID": "0",
        "StartLimitBurst": "5",
    }
    lines = "\n".join(f"{key}={value}" for key, value in (usual | properties).items())
    log = programs / "systemctl.log"
    put(programs, "systemctl", f'echo "$@" >> {log}\n[ $1 != show ] || cat <<END\n{lines}\nEND')


def told(programs: Path) -> list[str]:
    """What systemctl was told to do, without the questions."""
    log = programs / "systemctl.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line for line in lines if not line.startswith(("show", "cat"))]
