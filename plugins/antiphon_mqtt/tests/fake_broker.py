"""A broker that speaks just enough MQTT 5 to die between a message and its acknowledgement."""

from __future__ import annotations

import asyncio
import contextlib
import struct


class FakeBroker:
    """One client at a time, whose session it always keeps after the first. It reads no acknowledgement.

    ready: a client is connected and has published something.  clean, names: of each connection, whether it asked
    for a clean start, and its client identifier.
    """

    def __init__(self) -> None:
        self.port = 0
        self.ready = False
        self.clean: list[bool] = []
        self.names: list[str] = []
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> FakeBroker:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def deliver(self, *messages: tuple[int, str, bytes, bool]) -> None:
        """Publishes (packet identifier, topic, payload, delivered again) at QoS 1."""
        assert self._writer is not None
        for mid, topic, payload, again in messages:
            name = topic.encode()
            body = struct.pack(">H", len(name)) + name + struct.pack(">H", mid) + b"\0" + payload
            self._writer.write(bytes([0x32 | again << 3, len(body)]) + body)

    def die(self) -> None:
        assert self._writer is not None
        self.ready = False
        self._writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, body = await _packet(reader)
                match kind >> 4:
                    case 1:
                        # 6 bytes of name, 1 of version, then the flags
                        self.clean.append(bool(body[7] & 2))
                        at = 11 + body[10]
                        (length,) = struct.unpack_from(">H", body, at)
                        self.names.append(body[at + 2 : at + 2 + length].decode())
                        writer.write(bytes([0x20, 3, len(self.clean) > 2, 0, 0]))
                    case 8:
                        writer.write(bytes([0x90, 4, *body[:2], 0, 1]))
                    case 3 if kind & 6:
                        (length,) = struct.unpack_from(">H", body)
                        writer.write(bytes([0x40, 2, *body[2 + length : 4 + length]]))
                        self.ready = True
                    case 12:
                        writer.write(b"\xd0\0")


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    (kind,) = await reader.readexactly(1)
    length = shift = 0
    while True:
        (byte,) = await reader.readexactly(1)
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return kind, await reader.readexactly(length)
