"""The guardian's logic, on a virtual clock and with motors that only remember."""

import math
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autcar.guardian import (
    ARM,
    ARMED,
    AT_REST,
    DRIVE,
    DRIVING,
    IGNORED,
    LONGEST_LEASE_NS,
    MESSAGE,
    READY,
    REPORT,
    STOP,
    Watch,
    guard,
)
from autcar.motors.base import Motors

MS = 1_000_000


class Remembering(Motors):
    def __init__(self):
        self.wheels = (0.0, 0.0)
        self.closed = False

    def drive(self, left, right):
        assert not self.closed
        self.wheels = (left, right)

    def close(self):
        if not self.closed:
            self.stop()
        self.closed = True


def message(kind, sequence=1, expires_ns=0, left=0.0, right=0.0):
    return MESSAGE.pack(kind, sequence, 0, expires_ns, left, right)


@pytest.fixture
def motors():
    return Remembering()


@pytest.fixture
def watch(motors):
    watch = Watch(motors)
    assert watch.receive(0, message(ARM, 1)) == (ARMED, 1, "armed")
    return watch


def test_a_command_holds_until_it_expires(watch, motors):
    assert watch.receive(0, message(DRIVE, 2, 250 * MS, 0.5, 0.25)) == (DRIVING, 2, "driving")
    assert motors.wheels == (0.5, 0.25)
    assert watch.expire(250 * MS - 1) is None
    assert motors.wheels == (0.5, 0.25)
    assert watch.expire(250 * MS) == (AT_REST, 2, "expired")
    assert motors.wheels == (0, 0)


def test_after_an_expiry_only_arming_helps(watch, motors):
    watch.receive(0, message(DRIVE, 2, 1, 0.5, 0.5))
    watch.expire(1)
    watch.receive(2, message(DRIVE, 3, 100, 0.5, 0.5))
    assert motors.wheels == (0, 0)
    watch.receive(3, message(ARM, 4))
    watch.receive(4, message(DRIVE, 5, 100, 0.5, 0.5))
    assert motors.wheels == (0.5, 0.5)


def test_nothing_moves_before_arming(motors):
    watch = Watch(motors)
    watch.receive(0, message(DRIVE, 1, 100, 1, 1))
    assert motors.wheels == (0, 0)


def test_stop_needs_no_lease(watch, motors):
    watch.receive(0, message(DRIVE, 2, 100, 1, 1))
    assert watch.receive(1, message(STOP, 0)) == (AT_REST, 0, "stop")
    assert motors.wheels == (0, 0)
    assert not watch.armed


def test_an_old_command_is_ignored_and_cannot_extend(watch, motors):
    watch.receive(0, message(DRIVE, 5, 100, 1, 1))
    watch.receive(1, message(DRIVE, 4, 900, -1, -1))
    watch.receive(1, message(DRIVE, 5, 900, -1, -1))
    assert motors.wheels == (1, 1)
    assert watch.expire(100) is not None


def test_a_command_that_arrives_expired_stops(watch, motors):
    watch.receive(0, message(DRIVE, 2, 100, 1, 1))
    assert watch.receive(50, message(DRIVE, 3, 50, 1, 1)) == (AT_REST, 3, "arrived expired")
    assert motors.wheels == (0, 0)


def test_no_lease_is_longer_than_a_second(watch, motors):
    watch.receive(0, message(DRIVE, 2, 10**18, 1, 1))
    assert watch.expire(LONGEST_LEASE_NS) is not None
    assert motors.wheels == (0, 0)


@pytest.mark.parametrize(
    "bad",
    [
        message(DRIVE, 3, 100, math.nan, 0),
        message(DRIVE, 3, 100, 0, math.inf),
        message(DRIVE, 3, 100, 1.01, 0),
        message(DRIVE, 3, 100, 0, -1.01),
        message(99, 3, 100, 0, 0),
    ],
    ids=["NaN", "infinite", "too fast", "too fast back", "unknown kind"],
)
def test_a_bad_message_stops_and_latches(watch, motors, bad):
    watch.receive(0, message(DRIVE, 2, 100, 1, 1))
    assert watch.receive(1, bad) == (AT_REST, 3, "bad message")
    assert motors.wheels == (0, 0)
    assert not watch.armed


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.integers(0, 20),
            st.integers(-10, 1500),
            st.floats(width=32),
            st.floats(width=32),
            st.integers(0, 400),
        ),
        max_size=60,
    )
)
def test_wheels_turn_only_armed_unexpired_and_in_range(happenings):
    motors, now = Remembering(), 0
    watch = Watch(motors)
    for kind, sequence, lease_ms, left, right, step_ms in happenings:
        now += step_ms * MS
        watch.expire(now)
        watch.receive(now, message(kind, sequence, now + lease_ms * MS, left, right))
        if motors.wheels != (0.0, 0.0):
            assert watch.armed
            assert watch.expires_ns is not None
            assert now < watch.expires_ns <= now + LONGEST_LEASE_NS
            assert max(map(abs, motors.wheels)) <= 1


def reports(link, count):
    data = b""
    while len(data) < count * REPORT.size:
        data += link.recv(4096)
    return [REPORT.unpack_from(data, n * REPORT.size)[:2] for n in range(count)]


def test_end_of_file_stops_and_ends(motors):
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=guard, args=(theirs, motors))
    thread.start()
    # Two messages in one piece, and one in two pieces, as a stream may bring them.
    both = message(ARM, 1) + message(DRIVE, 2, 2**62, 0.5, 0.5)
    ours.send(both[:50])
    assert reports(ours, 2) == [(READY, 0), (ARMED, 1)]
    ours.send(both[50:])
    while motors.wheels == (0.0, 0.0):
        pass
    ours.close()
    thread.join(2)
    assert not thread.is_alive()
    assert motors.closed
    assert motors.wheels == (0.0, 0.0)


def test_a_parent_that_reads_nothing_does_not_hold_it_up(motors):
    ours, theirs = socket.socketpair()
    for side in (ours, theirs):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    thread = threading.Thread(target=guard, args=(theirs, motors))
    thread.start()
    for number in range(3000):
        ours.send(message(ARM, number))
    ours.close()
    thread.join(5)
    assert not thread.is_alive()
    assert motors.closed


def test_arming_brings_the_wheels_to_rest_and_forgets_what_was_sent_before(watch, motors):
    watch.receive(0, message(DRIVE, 2, 100, 1, 1))
    watch.receive(1, message(ARM, 5))
    assert motors.wheels == (0, 0)
    assert watch.receive(2, message(DRIVE, 4, 100, 1, 1))[0] == IGNORED
    assert watch.receive(2, message(DRIVE, 5, 100, 1, 1))[0] == IGNORED
    assert motors.wheels == (0, 0)
    assert watch.receive(2, message(DRIVE, 6, 100, 1, 1))[0] == DRIVING


@pytest.mark.parametrize("ended", ["stop", "expiry", "late", "bad"])
def test_once_at_rest_there_is_nothing_left_to_expire(watch, motors, ended):
    watch.receive(0, message(DRIVE, 2, 100, 1, 1))
    match ended:
        case "stop":
            watch.receive(1, message(STOP, 3))
        case "expiry":
            watch.expire(100)
        case "late":
            watch.receive(50, message(DRIVE, 3, 50, 1, 1))
        case "bad":
            watch.receive(50, message(DRIVE, 3, 90, 2, 1))
    assert watch.expires_ns is None
    assert watch.expire(10**12) is None
    assert not watch.armed
    assert watch.receive(60, message(DRIVE, 9, 100, 1, 1)) == (
        IGNORED,
        9,
        "not armed, or too old",
    )
    assert motors.wheels == (0, 0)
