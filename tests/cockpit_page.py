"""The cockpit's page without a browser: what it says over the WebSocket, and what it hears."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from contextlib import suppress

import aiohttp


class Page:
    """What the cockpit's page does, without the page."""

    def __init__(self, socket):
        self.socket = socket
        self.number = 0
        self.lease = None
        self.status = None
        self.pictures = []
        self.said = []
        self.closed = None
        self.reader = asyncio.create_task(self._read())

    async def _read(self):
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.pictures.append(message.data)
                sequence = struct.unpack_from("<I", message.data)[0]
                await self.send({"do": "drawn", "sequence": sequence})
            else:
                found = json.loads(message.data)
                if "time" in found:
                    self.status = found
                else:
                    self.said.append(found)
                    self.lease = found.get("lease", self.lease)
        self.closed = self.socket.close_code

    async def send(self, order):
        if not self.socket.closed:
            with suppress(ConnectionError):
                await self.socket.send_str(json.dumps(order))

    async def take(self):
        await self.until(lambda: self.status)
        before = self.lease
        await self.send({"do": "take"})
        await self.until(lambda: self.lease != before)

    async def beat(self, command, **changes):
        self.number += 1
        order = {
            "lease": self.lease or 0,
            "number": self.number,
            "command": command,
            "echo": self.status["time"] if self.status else 0,
        }
        await self.send({"do": "beat", **order, **changes})

    async def until(self, happens, timeout_s=3.0):
        end = time.monotonic() + timeout_s
        while not happens():
            assert time.monotonic() < end, (self.status, self.said)
            await asyncio.sleep(0.005)
