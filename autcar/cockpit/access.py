"""Who may speak to the cockpit: the names it answers to, its own page, and paired browsers."""

from __future__ import annotations

import hmac
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterable

# No letter or digit that looks like another one: 31 of them, 8 make 39 bits.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_CODE_LENGTH = 8
_MOST_PAIRED = 64

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def is_loopback(address: str) -> bool:
    """Whether only this computer can reach ``address``."""
    return address in ("localhost", "::1") or address.startswith("127.")


class Names:
    """The names that a browser may have opened the page by.

    A name that another site points at this machine (DNS rebinding) is not among them;
    the address on which the connection arrived always is, because no site can be that.
    """

    def __init__(self, listen: str, extra: str = "") -> None:
        names = set(LOOPBACK)
        if not is_loopback(listen):
            host = socket.gethostname().lower()
            names |= {host, f"{host.split('.')[0]}.local"}
        self._names = names
        self._extra = {name.strip().lower() for name in extra.split(",") if name.strip()}

    def allow(self, host: str, address: str, port: int) -> bool:
        """Whether a ``Host`` header is ours, on a connection to ``address`` and ``port``."""
        host = host.lower()
        if host in self._extra:
            return True
        name, _, digits = host.rpartition(":")
        if not name or host.endswith("]"):
            name, digits = host, ""
        if name in self._extra:
            return True
        if digits != str(port) and not (digits == "" and port in (80, 443)):
            return False
        return name in self._names or name.strip("[]") == address.removeprefix("::ffff:")


def same_origin(origin: str | None, scheme: str, host: str) -> bool:
    """Whether an ``Origin`` header is the page's own; a missing one is not."""
    return origin is not None and origin.lower() == f"{scheme}://{host}".lower()


class Pairing:
    """A code that a person reads off the terminal, and the browsers that knew it.

    A wrong code costs time: after five wrong ones within a minute, none is heard until
    that minute is over, whoever asks. ``clock`` is in seconds.
    """

    TRIES = 5
    WINDOW_S = 60.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        raw = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))
        self.code = f"{raw[:4]}-{raw[4:]}"
        self._wrong: deque[float] = deque(maxlen=self.TRIES)
        self._tokens: deque[str] = deque(maxlen=_MOST_PAIRED)

    @property
    def wait_s(self) -> float:
        """How long until a code is heard again; 0 while one is."""
        if len(self._wrong) < self.TRIES:
            return 0.0
        return max(0.0, self._wrong[0] + self.WINDOW_S - self._clock())

    def pair(self, code: str) -> str | None:
        """A new token for the cookie where the code is right, None where it is not heard."""
        if self.wait_s > 0:
            return None
        if not _equal(_plain(code), [_plain(self.code)]):
            self._wrong.append(self._clock())
            return None
        token = secrets.token_urlsafe(32)
        self._tokens.append(token)
        return token

    def knows(self, token: str | None) -> bool:
        """Whether a cookie's token was given by :meth:`pair`."""
        return token is not None and _equal(token, self._tokens)


def _plain(code: str) -> str:
    return "".join(letter for letter in code.upper() if letter.isalnum())


def _equal(text: str, known: Iterable[str]) -> bool:
    found = False
    for one in known:
        found |= hmac.compare_digest(text.encode("utf-8", "replace"), one.encode())
    return found
