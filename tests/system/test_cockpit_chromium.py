"""The cockpit in a real browser, with the simulated car in real time.

AUTCAR_SCREENSHOTS names a folder that keeps the screenshots.
"""

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from autcar.recording.session import read_session
from autcar.simulator.track import Track
from tests.system.cockpit_car import CarProcess, browser, by_monotonic_clock, key, tap, wait_for

pytestmark = pytest.mark.timeout(240)

SEED = 4

# Where the left (orange) and right (blue) line cross a band in the lower half of the picture,
# −1…1 of its width; null where a line is not seen.
LINES = """
const canvas = document.getElementById("picture"), {width, height} = canvas;
const from = Math.round(height * .52), band = Math.round(height * .08);
const data = canvas.getContext("2d").getImageData(0, from, width, band).data;
const seen = [[0, 0], [0, 0]];
for (let i = 0; i < data.length; i += 4) {
  const [r, g, b] = [data[i], data[i + 1], data[i + 2]], x = (i / 4) % width;
  const which = r > 130 && r - b > 70 ? 0 : b > 100 && b - r > 60 ? 1 : -1;
  if (which >= 0) { seen[which][0] += x; seen[which][1] += 1; }
}
return seen.map(([sum, count]) => count > 8 ? sum / count / width * 2 - 1 : null);
"""


PATIENT = pytest.mark.parametrize(
    "car", ["[safety]\nframe_age_ms = 900.0\n[cockpit]\nlink_ms = 1000.0\n"], indirect=True
)
"""For tests of other things than how soon a late beat or frame stops the car."""


@pytest.fixture
def car(tmp_path, request):
    config = getattr(request, "param", "")
    made = CarProcess(tmp_path / "car", "--seed", str(SEED), "--pair", config=config)
    yield made
    made.close()


@pytest.fixture
def page(car, tmp_path):
    with browser(tmp_path / "browser") as page:
        open_cockpit(page, car)
        yield page


def open_cockpit(page, car):
    page.get(car.url)
    wait_for(lambda: status(page).get("camera", {}).get("fps", 0) > 15, 20, "pictures")


def status(page):
    return page.execute_script("return car.status") or {}


def shown(page, element):
    return page.execute_script(f"return document.getElementById('{element}').innerText")


def keep(page, name):
    folder = os.environ.get("AUTCAR_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.save_screenshot(str(Path(folder) / f"{name}.png"))


def take(page, car):
    tap(page, "Enter")
    wait_for(lambda: shown(page, "link") == "you drive", what="the wheel")


@contextmanager
def holding(page, code):
    key(page, "keyDown", code)
    try:
        yield
    finally:
        key(page, "keyUp", code)


class Keys:
    """Holds exactly the keys that were asked for last."""

    def __init__(self, page):
        self.page, self.held = page, set()

    def hold(self, *codes):
        for code in self.held - set(codes):
            key(self.page, "keyUp", code)
        for code in set(codes) - self.held:
            key(self.page, "keyDown", code)
        self.held = set(codes)


def steer(left, right):
    """The keys for what is seen of the lines."""
    if left is None and right is None:
        return None
    middle = (
        (left + right) / 2
        if left is not None and right is not None
        else (left + 0.62 if right is None else right - 0.62)
    )
    if abs(middle) < 0.09:
        return ("KeyW",)
    side = "KeyA" if middle < 0 else "KeyD"
    return ("KeyW", side) if abs(middle) < 0.4 else (side,)


def test_pair_drive_a_lap_by_keys_record_discard_and_stop(car, page):
    track = Track.generate(SEED, 0.0)
    take(page, car)
    tap(page, "KeyR")
    wait_for(lambda: status(page)["record"]["state"] == "recording")
    keys = Keys(page)
    metres = turned = 0.0
    seen = looked = 0
    before = time.monotonic()
    started = before
    last = ("KeyW",)
    stops = []
    while metres < 1.05 * track.length and time.monotonic() - started < 120:
        left, right = page.execute_script(LINES)
        looked += 1
        seen += left is not None or right is not None
        last = steer(left, right) or last
        keys.hold(*last)
        now = time.monotonic()
        speeds = car.speeds
        metres += sum(speeds) / 2 * 0.6 * (now - before)
        turned += (speeds[1] - speeds[0]) * 0.6 / 0.15 * (now - before)
        before = now
        if page.execute_script("return car.lease === null"):
            # A machine that is too busy for pictures or beats in time stops the car, rightly.
            stops.append(status(page)["reason"])
            keys.hold()
            wait_for(lambda: status(page)["driver"] is None, what="the helm")
            time.sleep(0.5)
            take(page, car)
        if looked == 60:
            keep(page, "desktop_driving")
    keys.hold()
    print(
        f"{metres:.1f} m of {track.length:.1f}, turned {turned:.1f} rad, saw {seen}/{looked}",
        stops,
    )
    assert metres > track.length
    assert seen > 0.95 * looked, "the car left the track"
    assert abs(turned) > 4.5, "a closed track turns once round"
    wait_for(lambda: car.rests, 0.5)

    record = status(page)["record"]
    frames, counts = record["frames"], record["counts"]
    assert frames > 200
    assert sum(counts.values()) == frames
    assert {"move_medium_forward", "left_light_forward"} <= counts.keys()
    tap(page, "Backspace")
    wait_for(lambda: status(page)["record"]["discarded"] >= 95)
    tap(page, "Space")
    wait_for(lambda: status(page)["reason"] == "stop pressed")
    tap(page, "KeyF")
    wait_for(lambda: status(page)["record"]["state"] == "off")
    name = status(page)["record"]["session"]
    wait_for(lambda: status(page)["record"]["waiting"] == 0)
    wait_for(lambda: name in shown(page, "list"))
    keep(page, "desktop_recorded")
    session = read_session(car.recordings / name)
    assert len(session.records) == status(page)["record"]["frames"]
    assert session.problems == []
    assert {record.source for record in session.records} == {"human"}
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_recording_is_leafed_through_cut_and_mended_by_keys(car, page):
    take(page, car)
    tap(page, "KeyR")
    for code in ("KeyW", "KeyA", "KeyD"):
        with holding(page, code):
            time.sleep(0.5)
    tap(page, "KeyF")
    wait_for(lambda: status(page)["record"]["state"] == "off")
    name = status(page)["record"]["session"]
    wait_for(lambda: name in shown(page, "list"))
    page.execute_script("document.querySelector('#list button').focus()")
    wait_for(
        lambda: page.execute_script("return document.querySelector('#list img').naturalWidth")
    )
    page.execute_script("document.querySelector('#list button').click()")
    wait_for(lambda: page.execute_script("return document.getElementById('leaf').open"))
    for _ in range(5):
        tap(page, "ArrowRight")
    tap(page, "KeyI")
    for _ in range(4):
        tap(page, "ArrowRight")
    tap(page, "KeyO")
    wait_for(lambda: "10 of" in shown(page, "leaf-caption"))
    keep(page, "desktop_leaf")
    tap(page, "Delete")
    wait_for(lambda: read_session(car.recordings / name).deleted == 5)
    wait_for(lambda: "deleted" in shown(page, "leaf-caption"))
    tap(page, "KeyU")
    wait_for(lambda: read_session(car.recordings / name).deleted == 0)


@PATIENT
def test_two_browsers_one_drives_either_stops(car, page, tmp_path):
    with browser(tmp_path / "other", 390, 844, dark=False, touch=True) as other:
        open_cockpit(other, car)
        take(page, car)
        wait_for(lambda: shown(other, "take") == "browser 1 drives")
        keep(other, "phone_watching")
        with holding(page, "KeyW"):
            wait_for(lambda: car.speeds[0] > 0.6)
            other.execute_script("take()")
            wait_for(lambda: "browser 1 drives" in shown(other, "toasts"))
            assert car.speeds[0] > 0.6
            clicked = other.execute_script(
                "const now = Date.now(); document.getElementById('stop').click(); return now"
            )
            assert car.seconds_to_rest(by_monotonic_clock(clicked)) < 0.2
            time.sleep(0.5)
            assert car.rests, "latched, though the key is still held"
        wait_for(lambda: "STOP was pressed" in shown(page, "rest"))
        other.execute_script("document.getElementById('take').click()")
        wait_for(lambda: shown(other, "link") == "you drive")
        point = other.execute_script(
            "const box = document.querySelector('[data-command=move_medium_forward]')"
            ".getBoundingClientRect(); return {x: box.x + 20, y: box.y + 20}"
        )
        touch = "Input.dispatchTouchEvent"
        other.execute_cdp_cmd(touch, {"type": "touchStart", "touchPoints": [point]})
        wait_for(lambda: car.speeds[0] > 0.6)
        keep(other, "phone_driving")
        other.execute_cdp_cmd(touch, {"type": "touchEnd", "touchPoints": []})
        assert car.seconds_to_rest() < 0.2


def test_a_hidden_tab_stops_the_car(car, page):
    take(page, car)
    key(page, "keyDown", "KeyW")
    wait_for(lambda: car.speeds[0] > 0.6)
    page.execute_script("document.onvisibilitychange = () => { window.hiddenAt ??= Date.now() }")
    tab = page.current_window_handle
    page.switch_to.new_window("tab")
    wait_for(lambda: car.rests, 5)
    rested_ns = car.wires.read().time_ns
    time.sleep(0.3)
    assert car.rests
    page.switch_to.window(tab)
    hidden_ns = by_monotonic_clock(page.execute_script("return window.hiddenAt"))
    assert rested_ns - hidden_ns < 0.5e9


def test_a_page_that_loses_the_keyboard_stops_the_car(car, page):
    """A key that is let go elsewhere is never heard of."""
    take(page, car)
    key(page, "keyDown", "KeyW")
    wait_for(lambda: car.speeds[0] > 0.6)
    lost = page.execute_script(
        "const now = Date.now(); window.dispatchEvent(new Event('blur')); return now"
    )
    assert car.seconds_to_rest(by_monotonic_clock(lost)) < 0.2


def test_a_killed_browser_stops_the_car(car, page, tmp_path):
    take(page, car)
    key(page, "keyDown", "KeyW")
    wait_for(lambda: car.speeds[0] > 0.6)
    profile = f"user-data-dir={tmp_path / 'browser'}"
    found = subprocess.run(["pgrep", "-f", profile], capture_output=True, text=True).stdout
    killed_ns = time.monotonic_ns()
    for pid in found.split():
        # Those that the first one started end with it.
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    assert car.seconds_to_rest(killed_ns) < 0.5


def test_a_stalled_server_stops_the_car_and_the_page_says_so(car, page):
    take(page, car)
    key(page, "keyDown", "KeyW")
    wait_for(lambda: car.speeds[0] > 0.6)
    car.kill(signal.SIGSTOP)
    assert car.seconds_to_rest() < 0.5
    wait_for(lambda: shown(page, "link") in ("no link", "connecting…"), 8)
    car.kill(signal.SIGCONT)
    time.sleep(0.5)
    assert car.rests, "latched"
    key(page, "keyUp", "KeyW")
    wait_for(lambda: shown(page, "link") == "at rest", 15)
    take(page, car)


GAMEPAD = """
window.pad = {id: "test pad", axes: [0, 0],
  buttons: Array.from({length: 17}, () => ({pressed: false, value: 0}))};
window.push = (index, value) => pad.buttons[index] = {pressed: value > 0, value};
navigator.getGamepads = () => [null, window.pad];
const event = new Event("gamepadconnected");
event.gamepad = window.pad;
dispatchEvent(event);
"""


@PATIENT
def test_a_gamepad_drives_in_the_browser(car, page):
    page.execute_script(GAMEPAD)
    page.execute_script("push(0, 1)")
    wait_for(lambda: shown(page, "link") == "you drive")
    for script, speeds in (
        ("push(7, .5)", (0.7, 0.7)),
        ("push(7, 1)", (1.0, 1.0)),
        ("pad.axes[0] = -.9", (0.14, 0.7)),
        ("pad.axes[0] = .4", (0.7, 0.35)),
        ("push(7, 0)", (0.0, 0.0)),
        ("push(13, 1)", (-0.7, -0.35)),
    ):
        page.execute_script(script)
        wait_for(lambda speeds=speeds: car.speeds == pytest.approx(speeds), what=script)
    page.execute_script("push(1, 1)")
    assert car.seconds_to_rest() < 0.3
    wait_for(lambda: shown(page, "rest") == "STOP was pressed")


def test_the_right_code_pairs_and_a_wrong_one_does_not(car, tmp_path):
    with browser(tmp_path / "browser", 390, 844, touch=True) as page:
        page.get(f"http://localhost:{car.port}/")
        wait_for(lambda: page.execute_script("return !document.getElementById('pairing').hidden"))
        keep(page, "phone_pairing")
        for code, done in (("AAAA-AAAA", False), (car.url.partition("#")[2].lower(), True)):
            page.execute_script(
                "document.getElementById('code').value = arguments[0];"
                "document.getElementById('pair').requestSubmit()",
                code,
            )
            if done:
                wait_for(lambda: status(page).get("camera"))
            else:
                wait_for(lambda: "not the code" in shown(page, "pair-error"))
        cookies = page.get_cookies()
        assert [(c["httpOnly"], c["sameSite"]) for c in cookies] == [(True, "Strict")]
        assert json.dumps(page.execute_script("return document.cookie")) == '""'
