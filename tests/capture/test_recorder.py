import errno
import json
import os
import threading
import time
from pathlib import Path

import pytest

from autcar.cockpit.feed import Feed, Shot
from autcar.commands import CLASSES, STOP, Command
from autcar.config import RecordSection
from autcar.errors import DataError
from autcar.recording.deletion import delete_rows, deletions, undo_delete
from autcar.recording.session import SessionWriter, read_session
from capture.recorder import SLOW_CARD, Recorder
from tests.conftest import until

FORWARD = Command("move", "medium", "forward")


def shot(number, command=FORWARD, source="human", fps=20):
    return Shot(b"\xff\xd8 %d" % number, number, number * 1_000_000_000 // fps, command, source)


class Card:
    """Tells how much is free, and may be filled."""

    free = 10_000

    def __call__(self, _folder):
        return self.free


@pytest.fixture
def card():
    return Card()


@pytest.fixture
def make(tmp_path, card):
    made = []

    def make(**settings):
        recorder = Recorder(
            tmp_path / "recordings",
            size=(64, 48),
            fps=20,
            settings=RecordSection(**settings),
            free_mb=card,
        )
        made.append(recorder)
        return recorder

    yield make
    for recorder in made:
        recorder.close()


@pytest.fixture
def gate(monkeypatch):
    """A card that writes nothing until this is set."""
    gate = threading.Event()
    append = SessionWriter.append
    monkeypatch.setattr(SessionWriter, "append", lambda *args: (gate.wait(5), append(*args)))
    return gate


def sequences(recorder):
    recorder.settle()
    return [record.sequence for record in read_session(recorder.open_session).records]


def test_what_is_offered_while_recording_is_on_file(make):
    recorder = make()
    recorder.offer(shot(0))
    recorder.record()
    for number in range(1, 25):
        recorder.offer(shot(number, CLASSES[number % 12]))
    recorder.pause()
    recorder.offer(shot(25))
    recorder.record()
    recorder.offer(shot(26))
    recorder.finish()
    recorder.offer(shot(27))
    recorder.close()
    assert sequences(recorder) == [*range(1, 25), 26]
    session = read_session(recorder.open_session)
    assert session.info["frames"] == 25
    assert session.info["ended"] is not None
    assert session.records[3].command == CLASSES[4]
    status = recorder.status()
    assert (status.state, status.frames, status.dropped) == ("off", 25, {})
    assert status.counts["stop"] == 2
    # 24 frames in a row, then a pause that counts as no more than two frames.
    assert status.seconds == pytest.approx(23 / 20 + 2 / 20, abs=0.06)


def test_nobody_driving_is_not_recorded_unless_asked(make):
    recorder = make()
    recorder.record()
    recorder.offer(shot(0, STOP, None))
    recorder.settle()
    assert (recorder.status().idle, recorder.open_session) == (1, None)
    recorder = make(idle=True)
    recorder.record()
    recorder.offer(shot(0, STOP, None))
    recorder.settle()
    assert read_session(recorder.open_session).records[0].source == "unknown"


def test_no_session_is_left_where_nothing_was_recorded(make, tmp_path):
    recorder = make()
    recorder.record()
    recorder.close()
    assert not list(tmp_path.rglob("training.csv"))


def test_a_slow_card_drops_and_says_so_and_never_delays_the_camera(make, gate):
    recorder = make(queue=5)
    recorder.record()
    started = time.perf_counter()
    for number in range(20):
        recorder.offer(shot(number))
        recorder.status()
    assert time.perf_counter() - started < 1
    gate.set()
    kept = sequences(recorder)
    assert kept == list(range(len(kept)))
    assert len(kept) in (5, 6)
    assert recorder.status().dropped == {SLOW_CARD: 20 - len(kept)}


def test_a_new_recording_waits_for_the_one_before_or_is_refused(make, gate, monkeypatch):
    recorder = make()
    recorder.record()
    recorder.offer(shot(0))
    recorder.finish()
    monkeypatch.setattr(recorder, "settle", lambda: Recorder.settle(recorder, 0.05))
    with pytest.raises(DataError, match="still writes the recording of before"):
        recorder.record()
    assert recorder.status().state == "off"
    gate.set()
    assert Recorder.settle(recorder)
    recorder.record()
    recorder.offer(shot(1))
    assert sequences(recorder) == [1]


def test_the_last_seconds_are_discarded_and_taken_back(make):
    recorder = make(queue=1000)
    recorder.record()
    for number in range(200):
        recorder.offer(shot(number, CLASSES[number % 12]))
    assert recorder.discard(5) == 100
    assert recorder.status().frames == 100
    assert recorder.status().seconds == pytest.approx(99 / 20, abs=0.06)
    assert recorder.discard(2) == 40
    for number in range(200, 220):
        recorder.offer(shot(number))
    recorder.settle()
    assert recorder.status().frames == 80
    assert recorder.status().discarded == 140
    assert recorder.discard(1) == 20
    assert recorder.discard(1) == 20, "over rows that are gone already"
    assert sequences(recorder) == list(range(40))
    assert [recorder.undo() for _ in range(5)] == [20, 20, 40, 100, 0]
    assert sequences(recorder) == list(range(220))
    assert sum(recorder.status().counts.values()) == 220


def test_undo_takes_back_its_own_discard_whatever_a_page_did_meanwhile(make):
    recorder = make()
    recorder.record()
    for number in range(40):
        recorder.offer(shot(number))
    recorder.finish()
    assert recorder.discard(1) == 20
    delete_rows(recorder.open_session, 3, 5)
    assert recorder.undo() == 20
    assert deletions(recorder.open_session) == [(3, 5)]
    assert recorder.discard(1) == 20
    undo_delete(recorder.open_session)
    assert recorder.undo() == 20, "a page took it back, and not what the page deleted"
    assert deletions(recorder.open_session) == [(3, 5)]


def test_discard_works_after_the_end_and_without_a_session(make):
    recorder = make()
    assert recorder.discard(5) == 0
    assert recorder.undo() == 0
    recorder.record()
    for number in range(40):
        recorder.offer(shot(number))
    recorder.finish()
    assert recorder.discard(1) == 20
    assert sequences(recorder) == list(range(20))


def test_the_last_seconds_can_be_saved_after_the_fact(make):
    recorder = make(keep_s=4, queue=1000)
    for number in range(100):
        recorder.offer(shot(number))
    assert recorder.save(2) == 40
    assert sequences(recorder) == list(range(60, 100))
    assert recorder.save(2) == 0, "they are on file already"
    recorder.record()
    recorder.offer(shot(100))
    recorder.pause()
    for number in range(101, 300):
        recorder.offer(shot(number, source=None if number < 290 else "human"))
    assert recorder.save(60) == 10, "no further back than is kept, and only what was driven"
    assert recorder.save(60) == 0
    assert sequences(recorder) == [100, *range(290, 300)]


def test_each_recording_is_a_session_of_its_own(make):
    recorder = make()
    folders = set()
    for number in range(3):
        recorder.record()
        recorder.offer(shot(number))
        recorder.finish()
        recorder.settle()
        folders.add(recorder.open_session)
    assert len(folders) == 3


def test_a_nearly_full_card_ends_the_session_cleanly(make, card, monkeypatch):
    monkeypatch.setattr("capture.recorder._DISK_CHECK_S", 0.0)
    recorder = make()
    recorder.record()
    for number in range(10):
        recorder.offer(shot(number))
    recorder.settle()
    card.free = 499
    until(lambda: recorder.status().state == "off")
    recorder.offer(shot(10))
    status = recorder.status()
    assert status.state == "off"
    assert "499 MB free" in status.note
    assert sequences(recorder) == list(range(10))
    with pytest.raises(DataError, match="card is full"):
        recorder.record()
    card.free = 501
    recorder.record()
    assert recorder.status().note is None


def test_a_card_that_cannot_be_read_ends_the_session_and_says_why(make, card, monkeypatch):
    monkeypatch.setattr("capture.recorder._DISK_CHECK_S", 0.0)
    recorder = make()
    recorder.record()
    recorder.offer(shot(0))
    recorder.settle()

    def fail(_card, _folder):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Card, "__call__", fail)
    until = time.monotonic() + 5
    while recorder.status().state != "off":
        recorder.offer(shot(1))
        assert time.monotonic() < until
        time.sleep(0.01)
    assert recorder.status().note == "recording ended: Input/output error"
    with pytest.raises(DataError, match="recordings: Input/output error"):
        recorder.record()
    monkeypatch.undo()
    recorder.record()
    recorder.offer(shot(2))
    assert sequences(recorder) == [2]


def test_a_write_that_fails_ends_the_session_and_says_why(make, monkeypatch):
    recorder = make()
    recorder.record()
    recorder.offer(shot(0))
    recorder.settle()

    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(SessionWriter, "append", full)
    recorder.offer(shot(1))
    recorder.settle()
    status = recorder.status()
    assert status.state == "off"
    assert "No space left" in status.note
    assert sequences(recorder) == [0]


def test_what_is_written_reaches_the_card_within_a_second(make, monkeypatch):
    syncs = []
    monkeypatch.setattr(SessionWriter, "sync", lambda self: syncs.append(self.frames))
    recorder = make()
    recorder.record()
    recorder.offer(shot(0))
    recorder.settle()
    until(lambda: syncs, 1.0)
    assert syncs == [1]
    time.sleep(0.6)
    assert syncs == [1], "nothing new, nothing to do"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="switches are counted by Linux")
def test_a_frame_wakes_the_writer_and_no_other_thread(make, monkeypatch):
    monkeypatch.setattr("capture.recorder.SYNC_INTERVAL_S", 60)
    recorder = make()
    recorder.record()
    writer, sync = recorder._threads
    # Parked, each waits once for long.
    until = time.monotonic() + 5
    while "S (sleeping)" not in _status(sync) and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    before = [_wakes(thread) for thread in (writer, sync)]
    for number in range(50):
        recorder.offer(shot(number))
        assert recorder.settle()
    woken = [_wakes(thread) - past for thread, past in zip((writer, sync), before, strict=True)]
    assert woken[0] > 2
    assert woken[1] <= 2


def _wakes(thread):
    """How often a thread of this process has waited for something."""
    return int(_status(thread).split("\nvoluntary_ctxt_switches:")[1].split()[0])


def _status(thread):
    return Path(f"/proc/self/task/{thread.native_id}/status").read_text()


def test_session_json_tells_the_car_and_the_camera(make):
    recorder = make()
    recorder.record()
    recorder.offer(shot(0))
    recorder.settle()
    info = json.loads((recorder.open_session / "session.json").read_text())
    assert info["camera"] == {"width": 64, "height": 48, "fps": 20, "color": "RGB"}


def test_the_feed_counts_rate_and_gaps_and_wakes_viewers():
    feed = Feed()
    woken = []
    unsubscribe = feed.subscribe(lambda: woken.append(feed.latest.sequence))
    assert feed.fps == 0
    for number in (0, 1, 2, 5):
        feed.publish(shot(number))
    unsubscribe()
    feed.publish(shot(6))
    assert woken == [0, 1, 2, 5]
    assert feed.missed == 2
    assert feed.fps == pytest.approx(4 / 0.3)
