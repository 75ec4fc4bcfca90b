"""The cockpit over real sockets, with wheels that obey the guardian's rules."""

import asyncio
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autcar.cockpit.feed import Feed, Shot
from autcar.cockpit.messages import FIELDS
from autcar.cockpit.server import Cockpit
from autcar.commands import LABELS, STOP, Command
from autcar.config import CockpitSection, RecordSection
from autcar.errors import ConfigError
from autcar.helm import Helm
from autcar.wheels import DirectWheels
from capture.recorder import Recorder
from tests.cockpit_page import Page

FORWARD = "move_medium_forward"
FUZZ = int(os.environ.get("AUTCAR_FUZZ", "40"))
"""How many examples of each kind of nonsense; AUTCAR_FUZZ=2000 for the long run."""


class Motors:
    """Remembers what the wheels were told, and when."""

    def __init__(self):
        self.speeds = (0.0, 0.0)
        self.moved = []

    def drive(self, left, right):
        self.speeds = (left, right)
        if left or right:
            self.moved.append((left, right))

    def stop(self):
        self.drive(0.0, 0.0)


class Car:
    """A helm, a feed of pictures at 50 Hz, a recorder, and the cockpit."""

    def __init__(self, folder: Path, **changes) -> None:
        self.motors = Motors()
        self.helm = Helm(DirectWheels(self.motors), blind=True)
        self.feed = Feed()
        self.recorder = Recorder(
            folder, size=(8, 8), fps=50, settings=RecordSection(free_mb=0, queue=1000)
        )
        self.cockpit = Cockpit(
            "tester",
            self.helm,
            self.feed,
            CockpitSection(port=0, **changes),
            recorder=self.recorder,
            recordings=folder,
        )
        self.url = self.cockpit.start().partition("#")[0].rstrip("/")
        self.socket = self.url.replace("http", "ws") + "/socket"
        self.origin = {"Origin": self.url}
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._see)
        self.thread.start()

    def _see(self):
        number = 0
        while not self.ending.wait(0.02):
            now_ns = time.monotonic_ns()
            shot = Shot(b"jpeg%d" % number, number, now_ns, *self.helm.in_force(now_ns))
            self.recorder.offer(shot)
            self.feed.publish(shot)
            self.helm.tick()
            number += 1

    def close(self):
        self.cockpit.close()
        self.ending.set()
        self.thread.join()
        self.recorder.close()


@pytest.fixture
def car(tmp_path):
    made = Car(tmp_path / "recordings")
    yield made
    made.close()


@pytest.fixture
def locked(tmp_path):
    made = Car(tmp_path / "recordings", pair=True)
    yield made
    made.close()


def talk(car, scenario, count=1, **options):
    """Run ``scenario`` with ``count`` open pages."""

    async def run():
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            if car.cockpit.pairing:
                code = {"code": car.cockpit.pairing.code}
                async with session.post(
                    f"{car.url}/pair", json=code, headers=car.origin
                ) as answer:
                    assert answer.status == 200
            pages = [
                Page(await session.ws_connect(car.socket, headers=car.origin, **options))
                for _ in range(count)
            ]
            try:
                return await scenario(*pages)
            finally:
                for page in pages:
                    page.reader.cancel()
                    await page.socket.close()

    return asyncio.run(run())


def get(car, path, method="GET", headers=None, **options):
    async def run():
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, car.url + path, headers=headers, **options) as answer,
        ):
            return answer.status, await answer.read(), answer.headers

    return asyncio.run(run())


def test_a_key_reaches_the_wheels_at_once(car):
    async def scenario(page):
        await page.take()
        delays = []
        for number in range(20):
            command = (FORWARD, "stop")[number % 2]
            wanted = Command.from_label(command).wheels
            started = time.perf_counter()
            await page.beat(command)
            await page.until(lambda wanted=wanted: car.motors.speeds == wanted)
            delays.append(time.perf_counter() - started)
        return sorted(delays)

    assert talk(car, scenario)[10] < 0.03


def test_pictures_come_newest_first_and_none_twice(car):
    async def scenario(page):
        await page.until(lambda: len(page.pictures) >= 20)
        return [struct.unpack_from("<Iqb", picture) for picture in page.pictures]

    heads = talk(car, scenario)
    sequences = [head[0] for head in heads]
    assert sequences == sorted(set(sequences))
    assert heads[0][2] == -1


def test_a_page_that_does_not_draw_gets_no_more_pictures_and_delays_nobody(car):
    async def scenario(slow, quick):
        slow.send = lambda order: asyncio.sleep(0)
        count = len(slow.pictures)
        await quick.until(lambda: len(quick.pictures) >= 20)
        assert len(slow.pictures) <= count + 2
        assert quick.status["camera"]["latency_ms"] < 200

    talk(car, scenario, 2)


def test_one_drives_the_other_watches_and_may_stop(car):
    async def scenario(anna, ben):
        await anna.take()
        await anna.beat(FORWARD)
        await anna.until(lambda: car.motors.speeds != (0, 0))
        await ben.send({"do": "take"})
        await ben.until(lambda: ben.said[-1].get("error"))
        assert "browser 1 drives" in ben.said[-1]["error"]
        ben.lease = anna.lease
        await ben.beat("move_fast_forward")
        await ben.send({"do": "release", "lease": anna.lease})
        await asyncio.sleep(0.1)
        assert car.motors.speeds == (0.7, 0.7), "another page's lease is worth nothing"
        await ben.send({"do": "discard", "seconds": 5})
        await ben.until(lambda: "drives and records" in ben.said[-1].get("error", ""))
        await ben.send({"do": "stop"})
        await ben.until(lambda: car.motors.speeds == (0, 0))
        await anna.beat(FORWARD)
        await asyncio.sleep(0.1)
        assert car.motors.speeds == (0, 0), "latched"
        assert anna.status["reason"] == "stop pressed"
        await ben.take()

    talk(car, scenario, 2)


def test_a_silent_page_is_stopped_within_500_ms(car):
    async def scenario(page):
        await page.take()
        await page.beat(FORWARD)
        await page.until(lambda: car.motors.speeds != (0, 0))
        started = time.monotonic()
        await page.until(lambda: car.motors.speeds == (0, 0))
        assert 0.3 < time.monotonic() - started < 0.5
        await page.until(lambda: page.status["reason"] == "the driver's link is lost")

    talk(car, scenario)


def test_a_closed_page_stops_the_car_at_once(car):
    async def scenario(page):
        await page.take()
        await page.beat(FORWARD)
        await page.until(lambda: car.motors.speeds != (0, 0))
        started = time.monotonic()
        page.socket._response.connection.transport.abort()
        while car.motors.speeds != (0, 0):
            await asyncio.sleep(0.002)
        assert time.monotonic() - started < 0.2

    talk(car, scenario)


def test_a_link_that_is_far_behind_counts_as_lost(car):
    async def scenario(page):
        await page.take()
        await page.beat(FORWARD)
        await page.until(lambda: car.motors.speeds != (0, 0))
        await page.beat(FORWARD, echo=page.status["time"] - 1000)
        await page.until(lambda: car.motors.speeds == (0, 0), 0.2)

    talk(car, scenario)


def test_recording_from_the_page(car):
    async def scenario(page):
        await page.take()
        await page.send({"do": "record"})
        for _ in range(10):
            await page.beat(FORWARD)
            await asyncio.sleep(0.05)
        await page.send({"do": "pause"})
        await page.until(lambda: page.status["record"]["state"] == "paused")
        assert page.status["record"]["counts"][FORWARD] >= 15
        await page.send({"do": "discard", "seconds": 0.4})
        await page.until(lambda: page.status["record"]["discarded"] >= 8)
        await page.send({"do": "undo"})
        await page.until(lambda: page.status["record"]["discarded"] == 0)
        await page.send({"do": "finish"})
        await page.until(lambda: page.status["record"]["state"] == "off")
        name = page.status["record"]["session"]
        await page.send({"do": "delete", "session": name, "first": 2, "last": 10**9})
        await page.until(lambda: page.said[-1].get("done", {}).get("what") == "delete")
        assert page.said[-1]["done"]["frames"] >= 13
        await page.send({"do": "restore", "session": name})
        await page.until(lambda: page.said[-1].get("done", {}).get("what") == "restore")
        await page.send({"do": "delete", "session": "../..", "first": 0, "last": 1})
        await page.until(lambda: "no such recording" in page.said[-1].get("error", ""))
        return name

    name = talk(car, scenario)
    status, body, _ = get(car, "/sessions")
    assert json.loads(body)[0]["name"] == name
    status, body, _ = get(car, f"/sessions/{name}/rows")
    assert status == 200
    assert LABELS.index(FORWARD) in json.loads(body)["label"]
    status, body, headers = get(car, f"/sessions/{name}/1")
    assert (status, body[:4], headers["Content-Type"]) == (200, b"jpeg", "image/jpeg")


def test_the_session_being_recorded_is_not_cut(car):
    async def scenario(page):
        await page.take()
        await page.send({"do": "record"})
        await page.until(lambda: (page.status["record"] or {}).get("frames"))
        name = page.status["record"]["session"]
        await page.send({"do": "delete", "session": name, "first": 0, "last": 0})
        await page.until(lambda: "being recorded" in page.said[-1].get("error", ""))

    talk(car, scenario)


@pytest.mark.parametrize("path", ["/", "/cockpit.js", "/cockpit.css", "/icon.svg", "/hello"])
def test_the_page_is_served_with_strict_headers_and_needs_nothing_from_outside(car, path):
    status, body, headers = get(car, path)
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    text = body.decode().replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in text
    assert "https://" not in text
    assert "//" not in text.replace("// ", "").replace("//\n", "") or path == "/cockpit.js"


def test_other_names_origins_and_methods_are_turned_away(car):
    port = car.cockpit.port
    assert get(car, "/", headers={"Host": f"evil.example:{port}"})[0] == 421
    assert get(car, "/", headers={"Host": "localhost"})[0] == 421
    for path in ("/", "/sessions", "/hello", "/socket"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert get(car, path, method)[0] == 403
            assert get(car, path, method, car.origin)[0] == 405
    for origin in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert get(car, "/socket", headers=origin)[0] == 403
        assert get(car, "/pair", "POST", origin, json={"code": "x"})[0] == 403


def test_without_the_code_only_the_page_is_shown(locked):
    for path in ("/sessions", "/sessions/x/rows", "/sessions/x/0"):
        assert get(locked, path)[0] == 401
        assert get(locked, path, headers={"Cookie": "autcar=guess"})[0] == 401
    assert get(locked, "/socket", headers=locked.origin)[0] == 401
    assert json.loads(get(locked, "/hello")[1])["paired"] is False
    status, _, headers = get(
        locked, "/pair", "POST", locked.origin, json={"code": locked.cockpit.pairing.code}
    )
    assert status == 200
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]

    async def scenario(page):
        await page.take()
        await page.beat(FORWARD)
        await page.until(lambda: locked.motors.speeds != (0, 0))

    talk(locked, scenario)


def test_a_code_cannot_be_guessed(locked):
    for body in (b"", b"{", b"[]", b'{"code": 1}', b"[" * 400, b'{"code": null}', b"\xff"):
        assert get(locked, "/pair", "POST", locked.origin, data=body)[0] == 400
    assert get(locked, "/pair", "POST", locked.origin, data=b"x" * 10_000)[0] == 413
    for _ in range(6):
        status, body, _ = get(locked, "/pair", "POST", locked.origin, json={"code": "AAAA-AAAA"})
        assert status == 403
    assert json.loads(body)["wait_s"] > 50
    right = {"code": locked.cockpit.pairing.code}
    assert get(locked, "/pair", "POST", locked.origin, json=right)[0] == 403


def test_one_bad_message_costs_the_connection_and_the_car_nothing(car):
    beat = {"do": "beat", "lease": 1, "number": 1, "command": FORWARD, "echo": 0}
    bad = [
        *("", "nonsense", "[]", '{"do": "fly"}', '{"do": "discard", "seconds": NaN}'),
        json.dumps({**beat, "command": "move_slow_forward"}),
        json.dumps({**beat, "lease": "1"}),
        json.dumps({**beat, "left": 1.0}),
        b"binary",
        "x" * 100_000,
    ]
    for message in bad:

        async def scenario(page, message=message):
            await page.take()
            if isinstance(message, bytes):
                await page.socket.send_bytes(message)
            else:
                await page.socket.send_str(message)
            await page.until(lambda: page.closed)
            return page.closed

        assert talk(car, scenario) in (1008, 1009)
        assert not car.motors.moved

    async def replayed(page):
        await page.take()
        await page.beat("stop", number=7)
        await page.beat(FORWARD, number=7)
        await page.until(lambda: page.closed)

    talk(car, replayed)
    assert not car.motors.moved


def test_a_flood_costs_the_connection(car):
    async def scenario(page):
        for _ in range(250):
            await page.socket.send_str('{"do": "stop"}')
        await page.until(lambda: page.closed)

    talk(car, scenario)


def test_a_hundred_megabytes_are_not_read(car):
    async def scenario(page):
        with suppress(ConnectionError):
            for _ in range(100):
                await page.socket.send_str("x" * 1_000_000)
        await page.until(lambda: page.closed)

    talk(car, scenario)
    assert get(car, "/hello")[0] == 200


WORDS = st.one_of(
    st.text(max_size=30),
    st.builds(
        lambda kind, fields: json.dumps({**fields, "do": kind}),
        st.sampled_from([*FIELDS, "x"]),
        st.dictionaries(
            st.sampled_from(sorted({n for fields in FIELDS.values() for n in fields})),
            st.one_of(
                st.none(),
                st.booleans(),
                st.integers(-2, 5),
                st.floats(),
                st.sampled_from([*LABELS, "..", "/etc/passwd"]),
            ),
            max_size=4,
        ),
    ),
)


@settings(
    max_examples=FUZZ,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(messages=st.lists(WORDS, min_size=1, max_size=40))
def test_no_sequence_of_messages_moves_the_car_without_the_lease(car, messages):
    async def scenario(page):
        for message in messages:
            if '"take"' in message:
                continue
            try:
                await page.socket.send_str(message)
            except ConnectionError:
                break
        await asyncio.sleep(0.002)

    talk(car, scenario)
    assert not car.motors.moved
    assert car.helm.in_force(time.monotonic_ns()) == (STOP, None)


def test_only_so_many_pages_are_open(car):
    async def scenario(*pages):
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(car.socket, headers=car.origin)
        return refused.value.status

    assert talk(car, scenario, 16) == 503


def test_a_port_that_is_taken_is_said(car, tmp_path):
    other = Cockpit("x", car.helm, car.feed, CockpitSection(port=car.cockpit.port))
    with pytest.raises(ConfigError, match=r"--port 0"):
        other.start()
    with pytest.raises(ConfigError, match="certificate"):
        Cockpit("x", car.helm, car.feed, CockpitSection(certificate="none.pem")).start()


def test_the_address_holds_the_code_where_no_server_sees_it(locked):
    assert locked.cockpit.url.endswith(f"/#{locked.cockpit.pairing.code}")
    exposed = Cockpit("x", locked.helm, locked.feed, CockpitSection(listen="0.0.0.0"))
    assert exposed.pairing is not None


@settings(
    max_examples=FUZZ,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    data=st.one_of(
        st.binary(max_size=300),
        st.builds(
            lambda method, path, lines: f"{method} {path} HTTP/1.1\r\n{lines}\r\n\r\n".encode(),
            st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "X" * 9000, ""]),
            st.sampled_from(
                ["/", "/socket", "/../../etc/passwd", "//evil", "/sessions/..%2f", "*"]
            )
            | st.text(max_size=40),
            st.sampled_from(
                [
                    "Host: localhost:1",
                    "Host: a\r\nHost: b",
                    "Content-Length: -1",
                    "Content-Length: 99999999999",
                    "Transfer-Encoding: chunked\r\nContent-Length: 3",
                    "Upgrade: websocket\r\nConnection: upgrade",
                    "Cookie: autcar=" + "x" * 5000,
                ]
            ),
        ),
    )
)
def test_no_bytes_break_the_server(car, data):
    with socket.create_connection(("127.0.0.1", car.cockpit.port)) as link:
        link.settimeout(2)
        with suppress(OSError):
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
            answer = link.recv(300)
            assert b"200 OK" not in answer
            assert b"101 Switching" not in answer
            assert b"root:" not in answer
    assert car.thread.is_alive()
    assert not car.motors.moved
    assert get(car, "/hello")[0] == 200


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_with_a_certificate_all_is_https(car, tmp_path):
    certificate, key = str(tmp_path / "c.pem"), str(tmp_path / "k.pem")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run(
        [*command, "-out", certificate, "-keyout", key], check=True, capture_output=True
    )
    options = {"port": 0, "certificate": certificate, "key": key, "pair": True}
    cockpit = Cockpit("x", car.helm, car.feed, CockpitSection(**options))
    url = cockpit.start().partition("#")[0]
    assert url.startswith("https://localhost:")

    async def scenario():
        async with aiohttp.ClientSession() as session:
            code = {"code": cockpit.pairing.code}
            wrong = {"Origin": url.replace("https", "http").rstrip("/")}
            right = {"Origin": url.rstrip("/")}
            address = f"{url}pair"
            async with session.post(address, json=code, headers=wrong, ssl=False) as answer:
                assert answer.status == 403
            async with session.post(address, json=code, headers=right, ssl=False) as answer:
                assert answer.status == 200
                assert "Secure" in answer.headers["Set-Cookie"]

    try:
        asyncio.run(scenario())
    finally:
        cockpit.close()


def test_a_status_that_fails_is_not_the_last_one(car, monkeypatch):
    async def scenario(page):
        await page.until(lambda: page.status)
        monkeypatch.setattr("autcar.cockpit.server._HEALTH_S", 0.0)
        monkeypatch.setattr("autcar.cockpit.server.health", lambda: 1 / 0)
        await asyncio.sleep(0.3)
        monkeypatch.setattr("autcar.cockpit.server.health", lambda: {"temperature_c": 1.0})
        await page.until(lambda: page.status["health"] == {"temperature_c": 1.0})

    talk(car, scenario)
