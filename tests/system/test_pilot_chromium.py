"""The cockpit of a driving car in a real browser: watch, take over by a key, hand back."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from autcar.simulator.wires import Wires
from tests.system.cockpit_car import REPOSITORY, browser, key, tap, wait_for
from tests.system.test_cockpit_chromium import GAMEPAD, keep, shown, status

pytestmark = pytest.mark.timeout(240)

# A busy machine is late with frames and beats; how soon the car stops then is tested elsewhere.
CONFIG = """
[cockpit]
port = 0
link_ms = 1000.0
[safety]
frame_age_ms = 900.0
command_ms = 900.0
[simulator]
wires = "{wires}"
"""


@pytest.fixture
def drive(tmp_path):
    wires = tmp_path / "wires"
    (tmp_path / "car.toml").write_text(CONFIG.format(wires=wires))
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "autcar.cli", "drive", "--cockpit"),
            *("--config", str(tmp_path / "car.toml")),
        ],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    url = None
    while url is None:
        url = re.search(r"cockpit: (\S+)", process.stdout.readline())
    with Wires(wires) as signal_on_wires:
        yield url.group(1), lambda: signal_on_wires.read()[:2]
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0


def test_any_drive_key_takes_over_and_only_a_request_hands_back(drive, tmp_path):
    url, speeds = drive
    with browser(tmp_path / "browser") as page:
        page.get(url)
        wait_for(lambda: (status(page).get("pilot") or {}).get("driving"), 20, "the pilot")
        wait_for(lambda: shown(page, "link") == "the pilot drives", what="the chip")
        assert "%" in shown(page, "scores")
        keep(page, "pilot_drives")
        key(page, "keyDown", "KeyS")
        wait_for(lambda: speeds() == pytest.approx((-0.7, -0.7)), what="the person's command")
        wait_for(lambda: shown(page, "link") == "you drive", what="the chip")
        keep(page, "taken_over")
        key(page, "keyUp", "KeyS")
        wait_for(lambda: speeds() == (0, 0), what="rest")
        tap(page, "Enter")
        wait_for(lambda: status(page)["driver"] is None, what="letting go")
        assert speeds() == (0, 0)
        wait_for(lambda: "person has taken over" in shown(page, "rest"), what="the reason")
        tap(page, "KeyH")
        wait_for(lambda: status(page)["pilot"]["driving"] and speeds() != (0, 0), what="the pilot")


def test_a_trigger_that_is_held_does_not_undo_a_stop(drive, tmp_path):
    url, speeds = drive
    with browser(tmp_path / "browser") as page:
        page.get(url)
        wait_for(lambda: (status(page).get("pilot") or {}).get("driving"), 20, "the pilot")
        page.execute_script(GAMEPAD)
        wait_for(lambda: shown(page, "link") == "the pilot drives", what="the chip")
        page.execute_script("push(7, 1)")
        wait_for(lambda: speeds() == (1, 1), what="the person's command")
        page.execute_script("push(1, 1)")
        wait_for(lambda: speeds() == (0, 0), what="rest")
        for _ in range(20):
            time.sleep(0.05)
            assert speeds() == (0, 0), "STOP holds, though the trigger is still pulled"
        page.execute_script("push(1, 0); push(7, 0)")
        time.sleep(0.3)
        page.execute_script("push(7, 1)")
        wait_for(lambda: speeds() == (1, 1), what="the wheel taken anew")
