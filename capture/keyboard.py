"""Drive from a terminal, over ssh as well.

A terminal tells when a key is pressed and repeated but never when it is let go, so
a command holds for a moment after each press and the wheels rest when no repeat comes.
"""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Self

from autcar.commands import Command
from autcar.errors import ConfigError
from autcar.helm import Helm
from capture.errands import Errands
from capture.hand import Hand, told
from capture.recorder import Recorder

HOLD_S = 0.45
"""A little less than the promise of 0.5 s. Set a keyboard's repeat delay below it."""

HELP = """\
Enter  take the wheel, or let go   Space  STOP          Ctrl-C  end
 Q W E   gently left, ahead, gently right   Shift+W  fast   (or the arrow keys)
 A S D   sharply left, back, sharply right
 Z X C   the same backwards                 Shift+Z, Shift+C  sharply
R  record, or pause   F  finish   Backspace  discard 5 s   U  undo   G  save the last 10 s"""

COMMANDS: Mapping[str, str] = {
    "q": "left_light_forward",
    "w": "move_medium_forward",
    "W": "move_fast_forward",
    "e": "right_light_forward",
    "a": "left_medium_forward",
    "s": "move_medium_backwards",
    "d": "right_medium_forward",
    "z": "left_light_backwards",
    "Z": "left_medium_backwards",
    "x": "move_medium_backwards",
    "c": "right_light_backwards",
    "C": "right_medium_backwards",
    "\x1b[A": "move_medium_forward",
    "\x1b[B": "move_medium_backwards",
    "\x1b[C": "right_medium_forward",
    "\x1b[D": "left_medium_forward",
}


class Keyboard:
    """Reads keys from the terminal ``descriptor`` until closed. ``say`` shows a line.

    Raises :class:`ConfigError` when there is no terminal.
    """

    def __init__(
        self,
        helm: Helm,
        recorder: Recorder,
        say: Callable[[str], None] = print,
        descriptor: int | None = None,
    ) -> None:
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        if not os.isatty(self._descriptor):
            raise ConfigError("--keyboard needs a terminal; over ssh, connect with `ssh -t`")
        self._helm = helm
        self._recorder = recorder
        self._say = say
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)
        self._hand = Hand(helm, "terminal", HOLD_S)
        self._errands = Errands(say)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read, name="keyboard", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let go of the helm and give the terminal back as it was."""
        self._ending.set()
        self._thread.join(1.0)
        self._hand.close()
        self._errands.close()
        with suppress(termios.error):  # where the terminal is gone
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _read(self) -> None:
        pending = ""
        while not self._ending.is_set():
            if not select.select([self._descriptor], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self._descriptor, 64)
            except OSError:
                data = b""
            if not data:
                # The terminal is gone, and whoever drove with it.
                self._hand.let_go()
                return
            keys, pending = _keys(pending + data.decode("utf-8", "replace"))
            for key in keys:
                self._press(key)

    def _press(self, key: str) -> None:
        if key in COMMANDS:
            if not self._hand.say(Command.from_label(COMMANDS[key])):
                self._say("press Enter to take the wheel")
        elif key == " ":
            self._helm.stop()
        elif key in "\r\n":
            told(self._say, self._hand.let_go if self._hand.drives else self._hand.take)
            self._say("you drive" if self._hand.drives else "at rest")
        elif (ask := _RECORDER_KEYS.get(key)) is not None:
            self._errands.ask(lambda: self._say(ask(self._recorder)))


def _toggle(recorder: Recorder) -> str:
    recorder.toggle()
    return recorder.status().state


def _finish(recorder: Recorder) -> str:
    recorder.finish()
    return f"{recorder.status().frames:,} frames in {recorder.open_session}"


def _discard(recorder: Recorder) -> str:
    return f"{recorder.discard(5)} frames discarded"


_RECORDER_KEYS: Mapping[str, Callable[[Recorder], str]] = {
    "r": _toggle,
    "f": _finish,
    "\x7f": _discard,
    "\b": _discard,
    "u": lambda recorder: f"{recorder.undo()} frames taken back",
    "g": lambda recorder: f"{recorder.save(10)} frames saved",
}
"""What a key asks of the recorder, and what is said when that is done."""


_KEY = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.)|.", re.DOTALL)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?$")


def _keys(text: str) -> tuple[list[str], str]:
    """The keys in what a terminal sent, and the beginning of one that is yet to come.

    An escape sequence is one key (ECMA-48, 5.4); one of application mode counts as its twin.
    """
    unfinished = _UNFINISHED.search(text)
    end = unfinished.start() if unfinished else len(text)
    found = _KEY.findall(text[:end])
    return [key.replace("\x1bO", "\x1b[") for key in found], text[end:]
