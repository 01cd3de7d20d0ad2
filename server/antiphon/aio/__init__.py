"""The calls of `antiphon` for asyncio: the same names, awaited; the work is done in threads.

A cancelled `run`, `render` or `analyse` stops its work, like an interrupt without asyncio. A cancelled `Server` or
connection is closed, even if it has just become ready. A cancelled question to a server is not sent if it still waits
for the answer to another; once sent, it takes effect.

clean = await antiphon.aio.run("denoise", sound, 48000)
async with await antiphon.aio.connect() as s:
    await s.load("dub")
    async for beat in s.beats():
        ...
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar

from antiphon.client.connection import GIVEN_UP
from antiphon.operations.listening import Song
from antiphon.operations.python import render as _render, run as _run
from antiphon.operations.remote import LOOK_SECONDS, Remote, RemoteNode, Server as _Server, connect as _connect
from antiphon.operations.result import Result

T = TypeVar("T")
END_SECONDS = 5.0
"""Timeout in seconds for a cancelled call to end its work and close its files and children."""


class _Work(Generic[T]):
    """A call in a thread, which another thread can end: by an interrupt, or by `GIVEN_UP`, which the call checks."""

    def __init__(self, call: Callable[[], T], *, interrupts: bool) -> None:
        self._call, self._interrupts = call, interrupts
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._context = contextvars.copy_context()
        self._context.run(GIVEN_UP.set, self._ended.is_set)
        self._thread: int | None = None
        self._over = False

    def __call__(self) -> T:
        with self._lock:
            if self._over:
                raise KeyboardInterrupt
            self._thread = threading.get_ident()
        try:
            return self._context.run(self._call)
        finally:
            with self._lock:
                self._over = True
                _raise_in_thread(self._thread, None)  # one that has not come yet is not for what the thread does next

    def end(self) -> None:
        """Ends the call; a call that has not begun does not begin."""
        self._ended.set()
        with self._lock:
            if self._interrupts and self._thread is not None and not self._over:
                _raise_in_thread(self._thread, KeyboardInterrupt)
            self._over = self._over or self._thread is None


def _raise_in_thread(thread: int, error: type[BaseException] | None) -> None:
    raised = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)


async def _run_in_thread(call: Callable[..., T], *args: Any, **options: Any) -> T:
    """Runs a call in a thread and returns its result. Cancellation interrupts the call."""
    return await _ended(_Work(partial(call, *args, **options), interrupts=True), END_SECONDS)


async def _ask_in_thread(call: Callable[..., T], *args: Any, **options: Any) -> T:
    """Asks a server in a thread and returns its answer. On cancellation a question that still waits is not sent."""
    return await _ended(_Work(partial(call, *args, **options), interrupts=False), 0.0)


async def _make_in_thread(make: Callable[..., Remote], *args: Any, **options: Any) -> Remote:
    """Makes a server or connection in a thread. Cancellation closes it, even if it has just become ready."""
    work = _Work(partial(make, *args, **options), interrupts=False)
    return await _ended(work, END_SECONDS, lambda remote: remote.close())


async def _ended(work: _Work[T], seconds: float, undo: Callable[[T], object] = lambda _: None) -> T:
    """Awaits the work. Cancellation ends it, applies `undo` to a result, and waits `seconds` at most for both."""
    loop = asyncio.get_running_loop()
    result = loop.run_in_executor(None, work)
    try:
        return await asyncio.shield(result)
    except asyncio.CancelledError:
        work.end()
        ended: asyncio.Future[None] = loop.create_future()

        def take_back(result: asyncio.Future[T]) -> None:
            try:
                undo(result.result())
            finally:
                with suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(ended.set_result, None)

        def over(result: asyncio.Future[T]) -> None:
            if result.cancelled() or result.exception() is not None:  # looked at, so that asyncio does not report it
                ended.set_result(None)
            else:  # in a thread of its own, as the loop's may be closed by now
                threading.Thread(target=take_back, args=(result,)).start()

        result.add_done_callback(over)
        await asyncio.wait([ended], timeout=seconds)
        raise


async def run(*args: Any, **params: Any) -> Result:
    """Does what `antiphon.run` does, awaited."""
    return await _run_in_thread(_run, *args, **params)


async def render(*args: Any, **options: Any) -> Result:
    """Does what `antiphon.render` does, awaited."""
    return await _run_in_thread(_render, *args, **options)


async def analyse(*args: Any, **options: Any) -> Song:
    """Does what `antiphon.analyse` does, awaited."""
    from antiphon.operations.listening import analyse as listen

    return await _run_in_thread(listen, *args, **options)


async def connect(*args: Any, **options: Any) -> AsyncRemote:
    """Does what `antiphon.connect` does, awaited."""
    return AsyncRemote(await _make_in_thread(_connect, *args, **options))


async def Server(*args: Any, **options: Any) -> AsyncRemote:
    """Does what `antiphon.Server` does, awaited."""
    return AsyncRemote(await _make_in_thread(_Server, *args, **options))


class AsyncNode:
    """A node of a running server: `await node.get("feedback")`, `await node.set(feedback=0.4, over=2)`."""

    def __init__(self, node: RemoteNode) -> None:
        self._node = node

    async def get(self, name: str) -> Any:
        """Value of a parameter."""
        return await _ask_in_thread(getattr, self._node, name)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return _awaited(getattr(type(self._node), name).__get__(self._node))


class AsyncRemote:
    """A running server: every method of `Remote`, awaited. `get` reads a property such as "tempo" or "nodes"."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def get(self, name: str) -> Any:
        """Value of a property."""
        return await _ask_in_thread(getattr, self._remote, name)

    async def put(self, name: str, value: Any) -> None:
        """Sets a property such as "tempo"."""
        await _ask_in_thread(setattr, self._remote, name, value)

    async def node(self, name: str) -> AsyncNode:
        """A node by its name."""
        return AsyncNode(await _ask_in_thread(self._remote.__getitem__, name))

    async def beats(self) -> AsyncIterator[int]:
        """Does what `Remote.beats` does, awaited."""
        loop, come = asyncio.get_running_loop(), asyncio.Queue[int]()
        told = partial(
            self._remote.on, "/beat", lambda beat, *rest: loop.call_soon_threadsafe(come.put_nowait, int(beat))
        )
        end = await _ended(_Work(told, interrupts=False), 0.0, lambda end: end())
        try:
            while self._remote.check_subscription():
                try:
                    beat = await asyncio.wait_for(come.get(), LOOK_SECONDS)
                except TimeoutError:
                    continue
                yield beat
        finally:
            end()

    @asynccontextmanager
    async def at(self, beat: float) -> AsyncIterator[AsyncRemote]:
        """Does what `Remote.at` does, awaited."""
        with self._remote.collecting_messages(beat) as block:
            yield self
            await _ask_in_thread(self._remote.send_block, block)

    async def __aenter__(self) -> AsyncRemote:
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self._remote.close)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return _awaited(getattr(type(self._remote), name).__get__(self._remote))


def _awaited(call: Callable[..., Any]) -> Callable[..., Any]:
    async def awaited(*args: Any, **options: Any) -> Any:
        return await _ask_in_thread(call, *args, **options)

    return awaited
