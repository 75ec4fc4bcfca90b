"""A car behind a real sshd on loopback: its own keys, port, folders and services.

What stands in for systemd starts the real ``autcar drive --service`` and waits for its
READY, as the unit does; a model called ``sleepy`` never gets there, one called
``stalls`` gets there and hangs.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.conftest import REPOSITORY, free_port

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"

_SYSTEMCTL = """
import json, os, signal, socket, subprocess, sys, time
from pathlib import Path

folder = Path({folder!r})
state = folder / "unit.json"
unit = json.loads(state.read_text())

def save(**changes):
    unit.update(changes)
    whole = state.with_name(f".unit.{{os.getpid()}}")
    whole.write_text(json.dumps(unit))
    whole.replace(state)  # the test reads it at any moment

def alive(pid):
    try:
        # An ended process that nobody has asked about yet is a zombie.
        return Path(f"/proc/{{pid}}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

def stop():
    if unit["pid"]:
        for number in (signal.SIGCONT, signal.SIGTERM):
            try:
                os.kill(unit["pid"], number)
            except ProcessLookupError:
                pass
        until = time.monotonic() + 5
        while alive(unit["pid"]) and time.monotonic() < until:
            time.sleep(0.02)
    save(pid=0, state="inactive")

def start():
    address = str(folder / "notify")
    Path(address).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(address)
    listener.settimeout(6)
    trial, current = Path(os.environ["AUTCAR_RUN"], "trial"), folder / "state/current"
    name = os.path.basename(os.readlink(trial if trial.is_symlink() else current)) if (
        trial.is_symlink() or current.is_symlink()) else "shipped"
    command = ["sleep", "60"] if "sleepy" in name else [
        sys.executable, "-m", "autcar.cli", "drive", "--service",
        "--config", os.environ["AUTCAR_CONFIG"]]
    with open(folder / "journal", "a") as journal:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=journal,
            stderr=journal, start_new_session=True, cwd=folder,
            env={{**os.environ, "NOTIFY_SOCKET": address}})
    save(pid=process.pid, starts=unit["starts"] + 1)
    status = ""
    try:
        while True:
            said = listener.recv(4096).decode()
            if said.startswith("STATUS="):
                status = said[7:]
            if said == "READY=1":
                break
            if process.poll() is not None:
                raise TimeoutError
    except TimeoutError:
        stop()
        save(state="failed", status=status)
        sys.exit("Job for autcar-edge.service failed because a timeout was exceeded.")
    save(state="active", status=status)
    if "stalls" in name:
        os.kill(process.pid, signal.SIGSTOP)

verb, *words = [word for word in sys.argv[1:] if not word.startswith("--")]
if verb == "show":
    mine = words[0] == "autcar-edge.service"
    shown = unit["state"] if mine else "inactive"
    print(f"LoadState=loaded\\nActiveState={{shown}}\\nSubState=\\nResult=success\\nNRestarts=0")
    print(f"StatusText={{unit['status'] if mine else ''}}\\nMainPID={{unit['pid']}}")
    print("ExecMainStatus=0\\nStartLimitBurst=5")
elif verb == "restart":
    stop()
    start()
elif verb == "stop":
    stop()
"""


class SshdCar:
    """One car: ``config`` is the ssh configuration in which it is called ``name``."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.name = name
        self.state = self.folder / "state"
        self.run = Path("/tmp") / f"autcar-{os.getpid()}-{name}"  # a socket's path is short
        for place in (self.state, self.run, self.folder / "bin"):
            place.mkdir(parents=True)
        self.config = self.folder / "car.toml"
        self.config.write_text(
            f'[car]\nname = "{name}"\n[simulator]\nwires = "{self.run}/wires"\n'
            # It drives beside a deployment that keeps the machine busy.
            "[safety]\nframe_age_ms = 900.0\ncommand_ms = 900.0\n"
        )
        (self.folder / "unit.json").write_text(
            json.dumps({"pid": 0, "state": "inactive", "status": "", "starts": 0})
        )
        self._program("autcar", "from autcar.cli import main\nraise SystemExit(main())")
        self._program("systemctl", _SYSTEMCTL.format(folder=str(self.folder)))
        self._sshd()

    def _program(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n{text}"
        )
        path.chmod(0o755)

    def _sshd(self) -> None:
        for key in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / key],
                check=True,
            )
        port = free_port()
        Path("/run/sshd").mkdir(exist_ok=True)
        (self.folder / "sshd_config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\n"
            f"AuthorizedKeysFile {self.folder}/user.pub\nStrictModes no\nUsePAM no\n"
            f"PermitRootLogin yes\nPasswordAuthentication no\nPidFile none\n"
            f"SetEnv PATH={self.folder}/bin:/usr/bin:/bin PYTHONPATH={REPOSITORY} "
            f"AUTCAR_STATE={self.state} AUTCAR_RUN={self.run} AUTCAR_CONFIG={self.config}\n"
        )
        self.ssh_config = (
            f"Host {self.name}\n  HostName 127.0.0.1\n  Port {port}\n  User root\n"
            f"  IdentityFile {self.folder}/user\n  IdentitiesOnly yes\n"
            f"  StrictHostKeyChecking accept-new\n"
            f"  UserKnownHostsFile {self.folder}/known_hosts\n  LogLevel ERROR\n"
        )
        self._log = open(self.folder / "sshd.log", "w")  # noqa: SIM115 - close()
        self._process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", self.folder / "sshd_config"], stderr=self._log
        )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "sshd.log").read_text())

    @property
    def environment(self) -> dict[str, str]:
        """The car's own, to run its commands without ssh."""
        return {
            **os.environ,
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "AUTCAR_STATE": str(self.state),
            "AUTCAR_RUN": str(self.run),
            "AUTCAR_CONFIG": str(self.config),
        }

    def autcar(self, *words: str) -> str:
        """Run a command on the car itself."""
        done = subprocess.run(
            [self.folder / "bin/autcar", *words],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        return done.stdout + done.stderr

    def boot(self) -> None:
        """Start the driving service."""
        subprocess.run(
            [self.folder / "bin/systemctl", "restart", "autcar-edge.service"],
            env=self.environment,
            check=True,
        )

    @property
    def unit(self) -> dict:
        return json.loads((self.folder / "unit.json").read_text())

    def drives(self) -> str:
        """The model with which the running service drives, as it says itself."""
        from autcar.appliance.control import ask

        assert self.unit["state"] == "active", self.unit
        return ask("status", self.run)["folder"]

    def left_over(self) -> list[str]:
        """Whatever a deployment should have cleared away."""
        found = [*self.state.rglob(".*"), *self.run.glob("trial"), *self.run.glob(".*")]
        return [str(path) for path in found]

    def close(self) -> None:
        """Stop the service and sshd."""
        subprocess.run(
            [self.folder / "bin/systemctl", "stop", "autcar-edge.service"], env=self.environment
        )
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        self._log.close()
        shutil.rmtree(self.run, ignore_errors=True)
