"""What happens inside a booted car: faults brought about, wheels watched from outside.

Runs as root under the car's own systemd (see ``test_systemd.py``), in a process that is
none of the car's, and writes what it saw to ``/results``. Arguments are scenarios' names.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from autcar.appliance.control import ask
from autcar.appliance.service import health
from autcar.simulator.wires import Wires

EDGE, CAPTURE = "autcar-edge.service", "autcar-capture.service"
RUN = Path("/run/autcar")
RESULTS = Path("/results")


def run(*command: str, ok: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if ok and done.returncode:
        raise AssertionError(f"{command} failed: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def wait(condition, within_s: float = 20.0, what: str = ""):
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {within_s} s: {what or condition}; {health(EDGE)}")


def prop(name: str, unit: str = EDGE) -> str:
    return run("systemctl", "show", "--value", f"--property={name}", unit).strip()


def pid() -> int:
    return int(prop("MainPID"))


def guardian(of: int) -> int:
    return int(Path(f"/proc/{of}/task/{of}/children").read_text().split()[0])


def is_ready(other_than: int = 0, unit: str = EDGE) -> bool:
    return prop("ActiveState", unit) == "active" and int(prop("MainPID", unit)) not in (
        0,
        other_than,
    )


def fresh() -> int:
    """A service that just became ready, its failures forgotten; returns its process."""
    run("systemctl", "reset-failed", EDGE, CAPTURE, ok=False)
    run("systemctl", "restart", EDGE)
    return pid()


def moving(wires: Wires) -> bool:
    seen = wires.read()
    return seen.left != 0 or seen.right != 0


def driving() -> tuple[int, Wires]:
    process = fresh()
    run("autcar", "service", "arm")
    wires = Wires(RUN / "wires")
    wait(lambda: moving(wires), what="wheels that turn")
    time.sleep(0.3)
    return process, wires


def time_to_rest_ms(wires: Wires, began: float, within_s: float = 10.0) -> float:
    while moving(wires):
        assert time.monotonic() - began < within_s, f"wheels turn after {within_s} s"
        time.sleep(0.0005)
    took = (time.monotonic() - began) * 1000
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        assert not moving(wires), "a wheel turned again"
        time.sleep(0.002)
    return round(took, 1)


def install() -> dict:
    config = Path("/etc/autcar/car.toml")
    config.parent.mkdir(exist_ok=True)
    config.write_text('[simulator]\nwires = "/run/autcar/wires"\n')
    planned = run("/opt/autcar/a/bin/autcar", "service", "install", "--dry-run")
    untouched = not Path("/etc/systemd/system", EDGE).exists()
    began = time.monotonic()
    said = run("/opt/autcar/a/bin/autcar", "service", "install")
    ready_s = time.monotonic() - began
    again = run("autcar", "service", "install", "--no-start")
    # What systemd thought of each end is kept for the tests.
    drop_in = Path(f"/etc/systemd/system/{EDGE}.d/test.conf")
    drop_in.write_text(
        "[Service]\nExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT > /run/autcar/ended'\n"
    )
    run("systemctl", "daemon-reload")
    return {
        "planned": planned,
        "untouched_by_dry_run": untouched,
        "said": said,
        "again": again,
        "install_s": round(ready_s, 2),
        "active": prop("ActiveState"),
        "status": run("autcar", "service", "status", ok=False),
        "verify": run("systemd-analyze", "verify", EDGE, CAPTURE),
        "security": {
            unit: run("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1]
            for unit in (EDGE, CAPTURE)
        },
        "systemd": run("systemctl", "--version").splitlines()[0],
        "python": sys.version.split()[0],
    }


def drive() -> dict:
    fresh()
    wires = Wires(RUN / "wires")
    time.sleep(0.5)
    before = moving(wires)
    since_us = time.time_ns() // 1000
    said = run("autcar", "service", "arm")
    wait(lambda: moving(wires), what="wheels that turn")
    updates = wires.read().updates
    time.sleep(3)
    facts = ask("status")
    journal = run("journalctl", "-u", EDGE, "-o", "json", "-n", "50", "--no-pager")
    lines = [json.loads(line) for line in journal.splitlines()]
    lines = [line for line in lines if int(line["__REALTIME_TIMESTAMP"]) > since_us]
    drove = wires.read().updates - updates
    owner = Path(f"/proc/{pid()}").owner()
    nice = os.getpriority(os.PRIO_PROCESS, guardian(pid()))
    began = time.monotonic()
    disarmed = ask("disarm")
    rest_ms = time_to_rest_ms(wires, began)
    run("autcar", "service", "arm")
    asked = run("autcar", "service", "disarm")
    return {
        "moved_before_arming": before,
        "said": said,
        "updates_in_3_s": drove,
        "facts": facts,
        "log": [[line.get("MESSAGE"), line.get("AUTCAR_REASON")] for line in lines],
        "owner": owner,
        "guardian_nice": nice,
        "disarm": [disarmed["armed"], asked],
        "rest_ms": rest_ms,
        "still_active": prop("ActiveState"),
    }


def priority() -> dict:
    """Whether the guardian has a place ahead of others, and the driver left it to it."""
    process = fresh()
    return {
        "guardian": os.getpriority(os.PRIO_PROCESS, guardian(process)),
        "driver": [
            os.getpriority(os.PRIO_PROCESS, int(thread.name))
            for thread in Path(f"/proc/{process}/task").iterdir()
        ],
    }


def fault(bring_about, timeout_s: float = 20.0) -> dict:
    """Bring a fault about while the car drives; how it rests, and comes back disarmed."""
    rest = 0.0
    while rest < 1:  # else it stood at that very moment, and nothing was shown
        process, wires = driving()
        began = time.monotonic()
        bring_about(process)
        rest = time_to_rest_ms(wires, began)
        wait(lambda last=process: is_ready(last), timeout_s, "ready again")
    back = time.monotonic() - began
    facts = ask("status")
    return {
        "rest_ms": rest,
        "ready_again_s": round(back, 2),
        "armed": facts["armed"],
        "restarts": int(prop("NRestarts")),
        "ended": (RUN / "ended").read_text().strip(),
    }


def kill() -> dict:
    return fault(lambda process: os.kill(process, signal.SIGKILL))


def kill_all() -> dict:
    """The guardian, too, at the same moment: nothing of autcar is left to stop the wheels."""

    def both(process: int) -> None:
        last = guardian(process)
        os.kill(last, signal.SIGSTOP)
        os.kill(process, signal.SIGKILL)
        os.kill(last, signal.SIGKILL)

    return fault(both)


def kill_guardian() -> dict:
    return fault(lambda process: os.kill(guardian(process), signal.SIGKILL))


def hang() -> dict:
    return fault(lambda process: os.kill(process, signal.SIGSTOP))


def hang_all() -> dict:
    """Driver and guardian hang at the same moment: only the watchdog is left."""

    def both(process: int) -> None:
        last = guardian(process)
        os.kill(last, signal.SIGSTOP)
        os.kill(process, signal.SIGSTOP)

    return fault(both)


def stop() -> dict:
    _process, wires = driving()
    began = time.monotonic()
    stopping = subprocess.Popen(["systemctl", "stop", EDGE])
    rest = time_to_rest_ms(wires, began)
    stopping.wait()
    return {
        "rest_ms": rest,
        "ended": (RUN / "ended").read_text().strip(),
        "result": prop("Result"),
        "state": prop("ActiveState"),
    }


def five_crashes() -> dict:
    process = fresh()
    crashes = 0
    began = time.monotonic()
    while time.monotonic() - began < 60:
        os.kill(process, signal.SIGKILL)
        crashes += 1
        wait(lambda last=process: is_ready(last) or prop("ActiveState") == "failed", 20, "an end")
        if prop("ActiveState") == "failed":
            break
        process = pid()
    time.sleep(3)
    down = {
        "crashes": crashes,
        "state": prop("ActiveState"),
        "result": prop("Result"),
        "status": run("autcar", "service", "status", ok=False),
    }
    run("autcar", "service", "start")
    return {**down, "after_start": prop("ActiveState")}


def no_camera() -> dict:
    config = Path("/etc/autcar/car.toml")
    kept = config.read_text()
    config.write_text(
        '[camera]\ndriver = "opencv"\n[motors]\ndriver = "simulator"\n'
        '[simulator]\nwires = "/run/autcar/wires"\n'
    )
    try:
        run("systemctl", "reset-failed", EDGE, ok=False)
        began = time.monotonic()
        run("systemctl", "restart", EDGE, ok=False)
        took = time.monotonic() - began
        time.sleep(3)
        return {
            "took_s": round(took, 1),
            "state": prop("ActiveState"),
            "restarts": int(prop("NRestarts")),
            "code": int(prop("ExecMainStatus")),
            "status": run("autcar", "service", "status", ok=False),
            "moving": moving(Wires(RUN / "wires")),
        }
    finally:
        config.write_text(kept)


def wrong_config() -> dict:
    config = Path("/etc/autcar/car.toml")
    kept = config.read_text()
    config.write_text("[camera]\nwidht = 3\n")
    try:
        run("systemctl", "reset-failed", EDGE, ok=False)
        run("systemctl", "restart", EDGE, ok=False)
        time.sleep(2)
        return {
            "state": prop("ActiveState"),
            "restarts": int(prop("NRestarts")),
            "status": run("autcar", "service", "status", ok=False),
        }
    finally:
        config.write_text(kept)


def both_services() -> dict:
    _process, wires = driving()
    began = time.monotonic()
    starting = subprocess.Popen(["systemctl", "start", CAPTURE])
    rest = time_to_rest_ms(wires, began)
    starting.wait()
    first = {unit: prop("ActiveState", unit) for unit in (EDGE, CAPTURE)}
    record = ask("status")
    # And asked for both in one breath.
    together = run("systemctl", "start", EDGE, CAPTURE, ok=False)
    time.sleep(2)
    states = [prop("ActiveState", unit) for unit in (EDGE, CAPTURE)]
    # What a boot is to make of both being wanted is seen after the reboot.
    run("systemctl", "enable", EDGE, CAPTURE)
    return {
        "rest_ms": rest,
        "after_capture": first,
        "record": record,
        "together": together,
        "active_together": states.count("active"),
    }


def capture_hangs() -> dict:
    """The cockpit's service has the same watchdog."""
    run("systemctl", "reset-failed", EDGE, CAPTURE, ok=False)
    run("autcar", "service", "start", "record")
    process = int(prop("MainPID", CAPTURE))
    os.kill(process, signal.SIGSTOP)
    wait(lambda: is_ready(process, CAPTURE), what="the cockpit's service again")
    facts = ask("status")
    refused = run("autcar", "service", "arm", ok=False)
    logs = run("autcar", "service", "logs", "-n", "20")
    status = run("autcar", "service", "status")
    run("autcar", "service", "stop")
    return {
        "facts": facts,
        "refused": refused,
        "logs": logs,
        "status": status,
        "stopped": [prop("Result", unit) for unit in (EDGE, CAPTURE)],
    }


class Person:
    """Somebody at a browser who takes the wheel and keeps driving, in a thread."""

    def __init__(self) -> None:
        import threading

        self._on = True
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def leave(self) -> None:
        self._on = False
        self._thread.join()

    def _live(self) -> None:
        import asyncio

        asyncio.run(self._drive())

    async def _drive(self) -> None:
        import asyncio

        import aiohttp
        from cockpit_page import Page

        origin = {"Origin": "http://localhost:8080"}
        async with aiohttp.ClientSession() as session:
            page = Page(await session.ws_connect("ws://localhost:8080/socket", headers=origin))
            await page.take()
            await page.send({"do": "record"})
            while self._on and not page.socket.closed:
                await page.beat("move_medium_forward")
                await asyncio.sleep(0.05)
            page.reader.cancel()


def _person_drives() -> tuple[int, Wires, Person]:
    run("systemctl", "reset-failed", EDGE, CAPTURE, ok=False)
    run("autcar", "service", "start", "record")
    person, wires = Person(), Wires(RUN / "wires")
    wait(lambda: moving(wires), what="wheels that a person turns")
    time.sleep(1.0)
    return int(prop("MainPID", CAPTURE)), wires, person


def capture_kill() -> dict:
    """The cockpit's service dies while a person drives and records; and with it the guardian."""
    from autcar.recording.session import read_session

    rests, backs, drivers = [], [], []
    for both in (False, True):
        process, wires, person = _person_drives()
        driver = ask("status")["driver"]
        began = time.monotonic()
        if both:
            last = guardian(process)
            os.kill(last, signal.SIGSTOP)
            os.kill(process, signal.SIGKILL)
            os.kill(last, signal.SIGKILL)
        else:
            os.kill(process, signal.SIGKILL)
        rests.append(time_to_rest_ms(wires, began))
        wait(lambda old=process: is_ready(old, CAPTURE), what="the cockpit's service again")
        backs.append(round(time.monotonic() - began, 2))
        person.leave()
        drivers.append([driver, ask("status")["driver"]])
    _process, wires, person = _person_drives()  # who comes back drives on
    person.leave()
    wait(lambda: not moving(wires), what="rest after the person has left")
    sessions = sorted(Path("/var/lib/autcar/recordings").glob("*/training.csv"))
    read = [read_session(path.parent) for path in sessions]
    run("autcar", "service", "stop")
    return {
        "rest_ms": rests,
        "ready_again_s": backs,
        "drivers": drivers,
        "frames": [len(session.records) for session in read],
        "problems": [problem for session in read for problem in session.problems],
    }


def arm_before_power_off() -> dict:
    """Leave the car driving: the power goes."""
    driving()
    return {"armed": ask("status")["armed"]}


def after_reboot() -> dict:
    wait(lambda: is_ready() or is_ready(unit=CAPTURE), 30, "a service after the boot")
    time.sleep(2)
    wires = Wires(RUN / "wires")
    return {
        "active": [unit for unit in (EDGE, CAPTURE) if prop("ActiveState", unit) == "active"],
        "armed": ask("status")["armed"],
        "moving": moving(wires),
    }


def arm_at_boot() -> dict:
    """The owner chose a car that drives off by itself: once a boot, never after a crash."""
    run("systemctl", "stop", EDGE, CAPTURE)
    (RUN / "started").unlink(missing_ok=True)
    run("autcar", "service", "install", "--arm")
    wires = Wires(RUN / "wires")
    wait(lambda: moving(wires), what="wheels that turn")
    process = pid()
    os.kill(process, signal.SIGKILL)
    wait(lambda: is_ready(process), what="ready again")
    time.sleep(0.5)
    return {"drove_off": True, "armed_after_crash": ask("status")["armed"]}


def another_model(name: str) -> bytes:
    """The shipped bundle under another name, as the stream that a deployment sends."""
    import io
    import shutil

    from autcar.appliance.model_store import pack
    from autcar.bundle import shipped_bundle

    folder = Path("/tmp") / name
    shutil.copytree(shipped_bundle(), folder)
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"name": name}))
    stream = io.BytesIO()
    pack(folder, stream)
    return stream.getvalue()


def receive(name: str, *by: str) -> str:
    done = subprocess.run(
        [*by, "autcar", "car-side", "receive"], input=another_model(name), capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["name"]


def models() -> dict:
    """A model that the service proves, one that it cannot, and the way back."""
    fresh()
    first = ask("status")["folder"]
    name = receive("second")
    used = run("autcar", "models", "use", name)
    drives = ask("status")["folder"]
    # Somebody in the car's group may bring one, and arm; others may not.
    run("useradd", "pi")
    stranger = run("runuser", "-u", "pi", "--", "autcar", "service", "arm", ok=False)
    run("usermod", "-aG", "autcar", "pi")
    by_friend = receive("friend", "runuser", "-u", "pi", "--")
    friend = run("runuser", "-u", "pi", "--", "autcar", "service", "arm")
    run("runuser", "-u", "pi", "--", "autcar", "service", "disarm")
    # A service that fails under the trial: its program may not read the model.
    bad = receive("third")
    Path("/var/lib/autcar/models", bad).chmod(0o700)
    refused = run("autcar", "models", "use", bad, ok=False)
    still = ask("status")["folder"]
    back = run("autcar", "models", "rollback")
    return {
        "first": first,
        "used": used,
        "drives": drives,
        "name": name,
        "refused": refused,
        "still": still,
        "back": back,
        "after": ask("status")["folder"],
        "stranger": stranger,
        "friend": [by_friend, friend],
        "trial_left": (RUN / "trial").is_symlink(),
    }


def model_hangs() -> dict:
    """A model whose load never ends: its file is a pipe into which nobody writes."""
    fresh()
    before = ask("status")["folder"]
    name = receive("hangs")
    for file in Path("/var/lib/autcar/models", name).glob("*.tflite"):
        file.unlink()
        os.mkfifo(file)
    began = time.monotonic()
    said = run("autcar", "models", "use", name, ok=False)
    took = time.monotonic() - began
    after = ask("status")
    run("systemctl", "reset-failed", EDGE, ok=False)
    import shutil

    shutil.rmtree(Path("/var/lib/autcar/models", name))
    return {
        "said": said,
        "took_s": round(took, 1),
        "before": before,
        "after": after["folder"],
        "armed": after["armed"],
        "trial_left": (RUN / "trial").is_symlink(),
    }


def update_by_ssh() -> dict:
    """A workstation brings a wheel to a user with sudo, and takes it back."""
    fresh()
    (wheel,) = Path("/wheels").glob("autcar-*.whl")
    car = ("--car", "pi@car", "--ssh-config", "/tmp/ssh_config")
    before = Path("/opt/autcar/current").resolve().name
    began = time.monotonic()
    said = run("autcar", "update", str(wheel), "--wheels", "/wheels", *car, ok=False)
    took = time.monotonic() - began
    after = Path("/opt/autcar/current").resolve().name
    ready = ask("status")["ready"]
    left = [str(path) for path in Path("/opt/autcar", after).glob("*") if path.suffix == ".whl"]
    left += [str(path) for path in Path("/opt/autcar").glob("*/wheels")]
    left += [str(path) for path in Path("/opt/autcar").glob("*/unfinished")]
    back = run("autcar", "update", "--back", *car, ok=False)
    program = Path(f"/proc/{pid()}/cmdline").read_bytes().split(b"\0")[0].decode()
    # A wheel of which only the first half arrives.
    whole = subprocess.run(
        ["tar", "-C", "/wheels", "-cf", "-", wheel.name], stdout=subprocess.PIPE, check=True
    ).stdout
    cut = subprocess.run(
        [
            *("ssh", "-F", "/tmp/ssh_config", "pi@car"),
            f"autcar car-side update --what {wheel.name} --alone",
        ],
        input=whole[: len(whole) // 2],
        capture_output=True,
    )
    return {
        "said": said,
        "took_s": round(took, 1),
        "slots": [before, after, Path("/opt/autcar/current").resolve().name],
        "ready": ready,
        "back": back,
        "program": program,
        "cut": cut.stderr.decode(),
        "left": left,
        "after_cut": sorted(path.name for path in Path("/opt/autcar").iterdir()),
    }


def update_before_power_off() -> dict:
    """The power goes while new software is on trial."""
    fresh()
    (wheel,) = Path("/wheels").glob("autcar-*.whl")
    current = Path("/opt/autcar/current").resolve()
    subprocess.Popen(["autcar", "update", str(wheel), "--wheels", "/wheels"])

    def tried() -> bool:
        try:
            program = Path(f"/proc/{pid()}/cmdline").read_bytes()
            return str(current).encode() not in program and ask("status")["ready"]
        except Exception:
            return False

    wait(tried, 240, "new software on trial")
    return {
        "current": str(current),
        "still": str(Path("/opt/autcar/current").resolve()),
        "tried": Path(f"/proc/{pid()}/cmdline").read_bytes().split(b"\0")[0].decode(),
    }


def after_update_cut() -> dict:
    wait(lambda: is_ready() or is_ready(unit=CAPTURE), 30, "a service after the boot")
    program = Path(f"/proc/{pid()}/cmdline").read_bytes().split(b"\0")[0].decode()
    back = run("autcar", "update", "--back", ok=False)
    return {
        "current": str(Path("/opt/autcar/current").resolve()),
        "program": program,
        "drop_ins": [str(path) for path in Path("/run/systemd/system").rglob("trial.conf")],
        "back": back,
        "slots": sorted(path.name for path in Path("/opt/autcar").iterdir()),
    }


def update() -> dict:
    """The same software anew in the other slot; then a release that does not start."""
    import zipfile

    fresh()
    (wheel,) = Path("/wheels").glob("autcar-*.whl")
    began = time.monotonic()
    said = run("autcar", "update", f"{wheel}[car]", "--wheels", "/wheels")
    took = time.monotonic() - began
    program = Path(f"/proc/{pid()}/cmdline").read_bytes().split(b"\0")[0].decode()
    slot = str(Path("/opt/autcar/current").readlink())
    broken = Path("/tmp/broken") / wheel.name
    broken.parent.mkdir()
    with zipfile.ZipFile(wheel) as good, zipfile.ZipFile(broken, "w") as bad:
        for entry in good.infolist():
            data = good.read(entry)
            if entry.filename == "edge/service.py":
                data += b"\n\ndef serve(arguments):\n    return 1\n"
            bad.writestr(entry, data)
    process = pid()
    refused = run("autcar", "update", f"{broken}[car]", "--wheels", "/wheels", ok=False)
    after = str(Path("/opt/autcar/current").readlink())
    wait(is_ready, 20, "the old software ready")
    facts = ask("status")
    started_anew = pid() != process
    install = run("autcar", "update", "/wheels/none.whl", "--wheels", "/wheels", ok=False)
    left = [str(p) for p in Path("/run/systemd/system").rglob("trial.conf")]
    return {
        "said": said,
        "took_s": round(took, 1),
        "program": program,
        "slot": slot,
        "refused": refused,
        "slot_after": after,
        "armed": facts["armed"],
        "ready": facts["ready"],
        "started_anew": started_anew,
        "no_such_wheel": install,
        "left": left + [str(p) for p in Path("/opt/autcar").glob("a")],
    }


def deploy_by_ssh() -> dict:
    """As on a Raspberry Pi: a user in the car's group who may use sudo, over the car's sshd."""
    from autcar.appliance.model_store import ModelStore

    fresh()
    home = Path("/home/pi/.ssh")
    home.mkdir(parents=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/tmp/key")
    (home / "authorized_keys").write_text(Path("/tmp/key.pub").read_text())
    run("chown", "-R", "pi:pi", "/home/pi")
    run("chmod", "-R", "go=", "/home/pi")
    Path("/etc/sudoers.d/pi").write_text("pi ALL=(ALL) NOPASSWD: ALL\n")
    Path("/tmp/ssh_config").write_text(
        "Host car\n  HostName 127.0.0.1\n  User pi\n  IdentityFile /tmp/key\n"
        "  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n"
    )
    another_model("sshed")
    began = time.monotonic()
    said = run(
        *("autcar", "deploy", "pi@car", "/tmp/sshed", "--ssh-config", "/tmp/ssh_config"), ok=False
    )
    took = time.monotonic() - began
    drives = ask("status")["folder"]
    status = run("autcar", "status", "pi@car", "--ssh-config", "/tmp/ssh_config", ok=False)
    back = run("runuser", "-u", "pi", "--", "autcar", "models", "rollback", ok=False)
    return {
        "said": said,
        "took_s": round(took, 1),
        "drives": drives,
        "status": status,
        "back": back,
        "after": ask("status")["folder"],
        "left": [str(path) for path in ModelStore().state.rglob(".*")],
    }


def trial_before_power_off() -> dict:
    """The power goes while a model is on trial."""
    from autcar.appliance.model_store import ModelStore

    fresh()
    name = receive("fourth")
    subprocess.Popen(["autcar", "models", "use", name])
    link = RUN / "trial"
    wait(lambda: link.is_symlink() and _drives(name), what="the trial")
    return {"name": name, "current": ModelStore().current()}


def _drives(name: str) -> bool:
    try:
        return ask("status")["folder"] == name
    except Exception:
        return False


def after_trial() -> dict:
    from autcar.appliance.model_store import ModelStore

    wait(lambda: is_ready() or is_ready(unit=CAPTURE), 30, "a service after the boot")
    # Its owner chose, before the power went, that it drives off by itself.
    wait(lambda: ask("status")["armed"], what="a car that armed itself")
    return {"current": ModelStore().current(), "status": ask("status")}


def remove() -> dict:
    program = str(Path("/opt/autcar/current").resolve() / "bin/autcar")
    said = run("autcar", "service", "remove")
    left = [str(path) for path in Path("/etc/systemd/system").rglob("*autcar*")]
    again = run(program, "service", "remove")
    left += [name for name in ("/usr/local/bin/autcar", "/run/autcar") if os.path.lexists(name)]
    return {
        "said": said,
        "left": [name for name in left if "scenario" not in name],
        "again": again,
        "kept": Path("/etc/autcar/car.toml").exists(),
        "units": run("systemctl", "list-units", "--all", "autcar*", "--no-legend", ok=False),
    }


def main() -> None:
    for name in sys.argv[1:]:
        began = time.monotonic()
        try:
            found = globals()[name]()
        except BaseException:
            journal = run("journalctl", "-u", "autcar*", "-n", "30", "--no-pager", ok=False)
            found = {"error": traceback.format_exc(), "journal": journal}
        found["seconds"] = round(time.monotonic() - began, 1)
        (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=2))
    os.sync()


if __name__ == "__main__":
    main()
