"""The simulated car as its own process, and browsers to drive it with."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from autcar.simulator.wires import Wires

REPOSITORY = Path(__file__).resolve().parent.parent.parent


class CarProcess:
    """`autcar record` on the simulated car, its wires watched from outside."""

    def __init__(self, folder: Path, *options: str, config: str = "") -> None:
        self.folder = folder
        self.recordings = folder / "recordings"
        (folder / "tmp").mkdir(parents=True)
        (folder / "car.toml").write_text(config)
        self.log = open(folder / "log", "w+")  # noqa: SIM115 - close()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "autcar.cli", "record", "--port", "0"),
                *("--output", str(self.recordings), "--config", str(folder / "car.toml")),
                *options,
            ],
            cwd=REPOSITORY,
            env={**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self.url = self.said(r"cockpit: (\S+)")
        self.wires = Wires(next((folder / "tmp").glob("autcar-*/wires")))

    @property
    def output(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def port(self) -> int:
        return int(re.search(r":(\d+)/", self.url).group(1))

    def said(self, pattern: str, timeout_s: float = 30.0) -> str:
        def found():
            assert self.process.poll() is None, self.output
            return re.search(pattern, self.output)

        return wait_for(found, timeout_s, pattern).group(1)

    @property
    def speeds(self) -> tuple[float, float]:
        return self.wires.read()[:2]

    @property
    def rests(self) -> bool:
        return self.speeds == (0.0, 0.0)

    def seconds_to_rest(self, since_ns: int | None = None, timeout_s: float = 5.0) -> float:
        """Watch the wheels from outside until they stand still; how long that took.

        ``since_ns`` is the monotonic time of what is to stop them, by default now.
        """
        started_ns = since_ns or time.monotonic_ns()
        while not self.rests:
            assert time.monotonic_ns() - started_ns < timeout_s * 1e9, "the wheels still turn"
            time.sleep(0.002)
        return max(0.0, (self.wires.read().time_ns - started_ns) / 1e9)

    def kill(self, number: int) -> None:
        self.process.send_signal(number)

    def close(self) -> int:
        if self.process.poll() is None:
            self.kill(signal.SIGCONT)
            self.kill(signal.SIGTERM)
        code = self.process.wait(15)
        self.log.close()
        self.wires.close()
        return code


def by_monotonic_clock(browser_ms: float) -> int:
    """What JavaScript's ``Date.now()`` said, in ns of the monotonic clock."""
    return round(browser_ms * 1e6) - (time.time_ns() - time.monotonic_ns())


def wait_for(happens, timeout_s: float = 10.0, what: str = ""):
    """Wait until ``happens()`` is true, and return it."""
    end = time.monotonic() + timeout_s
    while True:
        found = happens()
        if found:
            return found
        assert time.monotonic() < end, f"waited {timeout_s} s for {what or happens}"
        time.sleep(0.01)


@contextmanager
def browser(folder: Path, width: int = 1280, height: int = 900, dark: bool = True, touch=False):
    """A headless Chromium with a new profile."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs chromium and chromium-driver: apt install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
        *("disable-dev-shm-usage", f"window-size={width},{height}"),
        f"user-data-dir={folder}",
    ):
        options.add_argument(f"--{argument}")
    if touch:
        options.add_experimental_option(
            "mobileEmulation",
            {
                "deviceMetrics": {
                    "width": width,
                    "height": height,
                    "pixelRatio": 2.0,
                    "touch": True,
                }
            },
        )
    page = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        scheme = "dark" if dark else "light"
        page.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        yield page
    finally:
        page.quit()


def key(page, kind: str, code: str, text: str = "") -> None:
    """A key pressed or let go, as the keyboard would: ``kind`` is keyDown or keyUp."""
    page.execute_cdp_cmd(
        "Input.dispatchKeyEvent",
        {"type": "rawKeyDown" if kind == "keyDown" else kind, "code": code, "key": text or code},
    )


def tap(page, code: str, text: str = "") -> None:
    key(page, "keyDown", code, text)
    key(page, "keyUp", code, text)
