"""What a person asked of the recorder, done beside the thread that hears STOP."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from capture.hand import told


class Errands:
    """Does what is asked, one thing after the other, in a thread of its own.

    The recorder may wait seconds for a slow card, and whoever reads the keys must not wait
    with it. ``say`` hears what cannot be done. Close it when nothing more will be asked.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._asked: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="errands", daemon=True)
        self._thread.start()

    def ask(self, act: Callable[[], object]) -> None:
        """Do ``act`` as soon as all that was asked before is done; returns at once."""
        self._asked.put(act)

    def close(self) -> None:
        """End after what was asked, or after a second. Closing twice is harmless."""
        self._asked.put(None)
        self._thread.join(1.0)

    def _work(self) -> None:
        while (act := self._asked.get()) is not None:
            told(self._say, act)
