"""Uploads written to a file piece by piece without blocking the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from antiphon.kernel.runtime.paths import PRIVATE

BUFFER = 256 * 1024
"""Bytes buffered before a write."""


async def write_pieces(path: Path, pieces: AsyncIterator[bytes], count: Callable[[int], None]) -> None:
    """Writes pieces to a new file, buffered, in a thread: a slow disk delays no other request.

    `count` is called with the bytes of each piece before it is written; it may raise. Raises OSError: the disk is full,
    or fails.
    """
    buffer = bytearray()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    try:
        async for piece in pieces:
            count(len(piece))
            buffer += piece
            if len(buffer) >= BUFFER:
                await asyncio.to_thread(_write_all, descriptor, bytes(buffer))
                buffer.clear()
        await asyncio.to_thread(_write_all, descriptor, bytes(buffer))
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
