"""`antiphon.connect` against a peer that is late, silent or ends: no message is lost, done twice or misread."""

import asyncio
import itertools
import math
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.waiting import until

import antiphon
from antiphon import aio
from antiphon.kernel.errors import EngineError, UsageError
from antiphon.kernel.wire.frames import Framer
from antiphon.kernel.wire.osc import Arg, Message, decode, encode, messages_of
from antiphon.operations.remote import Remote

PAIRS = 150
ANSWERS: dict[bytes, tuple[Arg, ...]] = {
    b"/tempo": (120.0,),
    b"/beat": (4.0,),
    b"/node/list": ("echo", "echo"),
    b"/patch/list": ("dub",),
    b"/capture": ("take.wav",),
    b"/node/echo/feedback": (0.5,),
}


class Peer:
    """A server of OSC over TCP. `got`: what it was sent but `/sync` and questions. `answer`: answers a message."""

    def __init__(self, port: int = 0) -> None:
        self.listening = socket.create_server(("127.0.0.1", port))
        self.port = self.listening.getsockname()[1]
        self.got: list[Message] = []
        self.connections: list[socket.socket] = []
        self.answer: Callable[[socket.socket, Message], object] = self.reply
        self._framer = Framer()
        threading.Thread(target=self._accept, daemon=True).start()

    def tell(self, connection: socket.socket, address: str, *args: Arg) -> None:
        with suppress(OSError):
            connection.sendall(self._framer.wrap(encode(address, *args)))

    def reply(self, connection: socket.socket, message: Message) -> None:
        if message.address == b"/sync":
            self.tell(connection, "/synced", *message.args)
        elif message.address in ANSWERS and (not message.args or message.address == b"/capture"):
            self.tell(connection, message.address.decode(), *ANSWERS[message.address])
        else:
            self.got.append(message)

    def drop(self) -> None:
        """Ends every connection, as a server that ends."""
        connections, self.connections = self.connections, []
        for connection in connections:
            with suppress(OSError):  # it has ended by itself
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def end(self) -> None:
        with suppress(OSError):  # it may be called twice
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.drop()

    def named(self, address: str) -> list[Message]:
        return [message for message in self.got if message.address == address.encode()]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as asyncio's, which a server has
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        framer = Framer()
        with suppress(OSError):
            while data := connection.recv(65536):
                for packet in framer.feed(data):
                    assert isinstance(packet, bytes)
                    for message in messages_of(decode(packet)):
                        self.answer(connection, message)


@pytest.fixture
def peer() -> Iterator[Peer]:
    there = Peer()
    yield there
    there.end()


@pytest.fixture
def remote(peer: Peer) -> Iterator[Remote]:
    with antiphon.connect(port=peer.port, timeout=5.0) as there:
        yield there


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_a_forked_program_has_a_connection_of_its_own(remote: Remote) -> None:
    remote.on("/beat", lambda *_: None)
    with remote._link._asking:  # as if another thread asked
        child = os.fork()
        if child == 0:
            try:
                ok = remote.tempo == 120.0 and not remote.check_subscription()
                remote.on("/beat", lambda *_: None)
                remote.close()
                os._exit(not ok)
            except BaseException:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert remote.tempo == 120.0
    assert remote.check_subscription(), "it is this process's still"


def _call_held(remote: Remote) -> None:
    with remote.at(99.0):
        assert remote.tempo == 120.0  # another one's call comes meanwhile
        remote.send("/held", 1)


def _read_beats(remote: Remote) -> None:
    remote.beats().close()


def _listen(remote: Remote) -> None:
    remote.on("/note/event", print)()


def _ask_status(remote: Remote) -> None:
    with pytest.raises(EngineError, match="no status"):
        _ = remote.status


CALLS: dict[str, Callable[[Remote], object]] = {
    "add": lambda s: s.add("echo"),
    "at": _call_held,
    "beat": lambda s: s.beat,
    "beats": _read_beats,
    "capture": lambda s: s.capture(),
    "check_subscription": lambda s: s.check_subscription(),
    "collecting_messages": _call_held,
    "load": lambda s: s.load("dub"),
    "nodes": lambda s: s["echo"].feedback,
    "note": lambda s: s.note(60),
    "on": _listen,
    "panic": lambda s: s.panic(),
    "patches": lambda s: s.patches,
    "play": lambda s: s.play(),
    "redo": lambda s: s.redo(),
    "remove": lambda s: s.remove("echo"),
    "save": lambda s: s.save("dub"),
    "scene": lambda s: s.scene(1),
    "send": lambda s: s.send("/x", 1),
    "send_block": _call_held,
    "status": _ask_status,
    "stop": lambda s: s.stop(),
    "store": lambda s: s.store(1),
    "tempo": lambda s: setattr(s, "tempo", 90.0),
    "undo": lambda s: s.undo(),
    "unwire": lambda s: s.unwire("a", "b"),
    "value": lambda s: s.value("/tempo"),
    "wait": lambda s: s.wait(),
    "wire": lambda s: s.wire("a", "b"),
}
"""A call of every public name of `Remote`."""


def _draw() -> Iterator[tuple[str, str]]:
    choose = random.Random(81)
    names = sorted(CALLS)
    yield from itertools.islice(iter(lambda: (choose.choice(names), choose.choice(names)), None), PAIRS)


def _check_takes_all(peer: Peer, remote: Remote, held: int) -> None:
    """Every held message came at its beat, no other did, and the connection hears the next one."""
    remote.send("/last", 1)
    assert peer.named("/last")
    at = [message.args for message in peer.named("/at")]
    assert [args for args in at if args[1] == "/held"] == [(99.0, "/held", 1)] * held
    assert {args[1] for args in at} <= {"/held", "/note/off"}


def test_calls_list_every_public_name_of_a_connection() -> None:
    assert {name for name in vars(Remote) if name[0] != "_"} - {"host", "port", "close"} == set(CALLS)


def test_two_threads_of_any_calls_lose_no_message(peer: Peer, remote: Remote) -> None:
    held = 0
    remote.on("/beat", print)
    for names in _draw():
        ready = threading.Barrier(2)
        errors: list[BaseException] = []

        def work(name: str, ready: threading.Barrier = ready, errors: list[BaseException] = errors) -> None:
            try:
                ready.wait()
                CALLS[name](remote)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == [], names
        held += sum(CALLS[name] is _call_held for name in names)
    _check_takes_all(peer, remote, held)


def test_two_tasks_of_any_calls_lose_no_message(peer: Peer) -> None:
    async def held(s: aio.AsyncRemote) -> None:
        async with s.at(99.0):
            await asyncio.sleep(0)
            await s.send("/held", 1)

    async def use(s: aio.AsyncRemote, name: str) -> None:
        if CALLS[name] is _call_held:
            await held(s)
        else:
            await aio._ask_in_thread(CALLS[name], s._remote)

    async def go() -> None:
        count = 0
        async with await aio.connect(port=peer.port, timeout=5.0) as s:
            for one, other in _draw():
                await asyncio.gather(use(s, one), use(s, other))
                count += (CALLS[one] is _call_held) + (CALLS[other] is _call_held)
            _check_takes_all(peer, s._remote, count)

    asyncio.run(go())


def test_a_task_that_outlives_its_block_sends_at_once(peer: Peer) -> None:
    async def go() -> None:
        async with await aio.connect(port=peer.port) as s:
            ended = asyncio.Event()

            async def later() -> None:
                await ended.wait()
                await s.send("/later", 1)

            async with s.at(8.0):
                task = asyncio.create_task(later())
            ended.set()
            await task
            await s.get("tempo")

    asyncio.run(go())
    assert peer.named("/later")
    assert not peer.named("/at")


def test_a_question_within_a_block_leaves_it_open(peer: Peer, remote: Remote) -> None:
    with remote.at(8.0):
        assert remote.tempo == 120.0
        remote.send("/x", 1)
        with pytest.raises(antiphon.AntiphonError, match="inside another"), remote.at(9.0):
            pass
    assert [message.args for message in peer.named("/at")] == [(8.0, "/x", 1)]


def test_a_note_within_a_block_ends_by_the_blocks_beat(peer: Peer, remote: Remote) -> None:
    with remote.at(8.0):
        remote.note(60, beats=2.0)
    assert [message.args[:3] for message in peer.named("/at")] == [(8.0, "/note/on", 60), (10.0, "/note/off", 60)]
    assert not peer.named("/note/on")


@pytest.mark.parametrize("note", ["h4", "", -1, 128, float("nan"), None])
def test_a_note_that_is_none_is_refused(remote: Remote, note: Any) -> None:
    with pytest.raises(UsageError, match=r"as( in)? c4"):
        remote.note(note)


@pytest.mark.parametrize("odd", ["x", [], {}, 1j, math.nan, math.inf, 10**400, print, np.array([1, 2]), np.array("x")])
def test_odd_arguments_of_a_connection_are_one_sentence(peer: Peer, remote: Remote, odd: Any) -> None:
    calls = (
        remote.play, remote.wait, remote.store, remote.scene, remote.remove, remote.capture,
        lambda one: remote.load("dub", one), lambda one: remote.note(60, beats=one), lambda one: remote.note(60, one),
        lambda one: remote.at(one).__enter__(), lambda one: remote["in"].set(over=one), remote.__getitem__,
        lambda one: antiphon.connect(port=peer.port, timeout=one),
    )  # fmt: skip
    for call in calls[:4] if isinstance(odd, str) else calls:
        with pytest.raises(UsageError) as refused:
            call(odd)
        assert "\n" not in str(refused.value)


def test_paths_and_arrays_of_one_number_are_taken(peer: Peer, remote: Remote, tmp_path: Path) -> None:
    remote.load(tmp_path / "dub.toml")
    remote.wait(np.array(2.0))
    remote.send("/tempo", np.array([90.0]))
    assert peer.named("/patch/load")[-1].args[0] == str(tmp_path / "dub.toml")
    assert peer.named("/tempo")[-1].args == (90.0,)


def test_a_note_is_played_by_its_name(peer: Peer, remote: Remote) -> None:
    remote.note("eb3", beats=None)
    assert [message.args[0] for message in peer.named("/note/on")] == [51]


def test_a_late_answer_is_not_the_next_questions(peer: Peer) -> None:
    waiting: list[tuple[socket.socket, Message]] = []
    with antiphon.connect(port=peer.port, timeout=0.2) as remote:
        peer.answer = lambda *one: waiting.append(one)
        with pytest.raises(EngineError, match="may have taken effect"):
            remote.send("/refuse/this", 1)
        (connection, _), (_, sync) = waiting

        def late(to: socket.socket, message: Message) -> None:
            if message.address == b"/tempo":  # the earlier answers come while the next question waits
                peer.tell(connection, "/fail", "/refuse/this", "no")
                peer.tell(connection, "/tempo", 33.0)
                peer.tell(connection, "/synced", *sync.args)
            peer.reply(to, message)

        peer.answer = late
        assert remote.tempo == 120.0


def test_a_peer_that_talks_and_never_answers_is_given_up(peer: Peer) -> None:
    def talk(connection: socket.socket, message: Message) -> None:
        for _ in range(200):
            peer.tell(connection, "/beat", 1)
            if ended.wait(0.01):
                break

    ended = threading.Event()
    with antiphon.connect(port=peer.port, timeout=0.2) as remote:
        peer.answer = talk
        with pytest.raises(EngineError, match="did not answer within"):
            remote.send("/x", 1)
        ended.set()


def test_what_was_sent_is_not_sent_again(peer: Peer, remote: Remote) -> None:
    def end(connection: socket.socket, message: Message) -> None:
        peer.got.append(message)
        peer.drop()

    peer.answer = end
    with pytest.raises(EngineError, match="may have taken effect"):
        remote.send("/beat/nudge", 1.0)
    peer.answer = peer.reply
    assert len(peer.named("/beat/nudge")) == 1
    assert remote.tempo == 120.0, "the next question opens another connection"
    assert len(peer.named("/beat/nudge")) == 1


def test_a_connection_closed_while_idle_is_opened_again(peer: Peer, remote: Remote) -> None:
    peer.drop()
    remote.send("/x", 1)
    assert len(peer.named("/x")) == 1


def test_a_server_that_comes_back_later_answers_again() -> None:
    first = Peer()
    with antiphon.connect(port=first.port, timeout=5.0) as remote:
        first.end()
        for _ in range(2):
            with pytest.raises(EngineError, match="cannot be reached"):
                remote.send("/x", 1)
        again = Peer(first.port)
        try:
            assert remote.tempo == 120.0
        finally:
            again.end()


def test_subscriptions_come_back_with_the_server(peer: Peer, remote: Remote) -> None:
    heard: list[object] = []
    remote.on("/note/event", lambda *told: heard.append(told))
    peer.got.clear()
    peer.drop()
    until(lambda: bool(peer.named("/note/watch")), 5.0, "it asks for notes again")
    peer.tell(peer.connections[0], "/note/event", 1)
    until(lambda: bool(heard), 5.0, "a note is told")


def test_callback_ended_while_another_asks_does_not_wait(peer: Peer, remote: Remote) -> None:
    end = remote.on("/beat", print)
    asked, answered = threading.Event(), threading.Event()

    def delay(connection: socket.socket, message: Message) -> None:
        asked.set()
        assert answered.wait(5.0)
        peer.reply(connection, message)

    peer.answer = delay
    asking = threading.Thread(target=lambda: remote.send("/meter/watch", 1))
    asking.start()
    assert asked.wait(5.0)
    for change in (end, lambda: remote.on("/beat", print)):
        changing = threading.Thread(target=change, daemon=True)
        changing.start()
        changing.join(3.0)
        assert not changing.is_alive()
    answered.set()
    asking.join()


def test_callback_that_asks_has_its_answer(peer: Peer, remote: Remote) -> None:
    heard: list[object] = []

    def ask(*_told: object) -> None:
        remote.on("/note/event", print)()
        heard.append(remote.tempo)

    remote.on("/beat", ask)
    until(lambda: bool(peer.named("/notify")), 5.0, "it is subscribed")
    peer.tell(peer.connections[1], "/beat", 1)
    until(lambda: bool(heard), 5.0, "its question is answered")
    assert heard == [120.0]


def test_beats_end_with_the_server_or_close(peer: Peer) -> None:
    ends: list[object] = []

    def follow(remote: Remote) -> None:
        try:
            ends.append(list(remote.beats()))
        except EngineError as error:
            ends.append(str(error))

    closed, deserted = (antiphon.connect(port=peer.port, timeout=0.2) for _ in range(2))
    threads = [threading.Thread(target=follow, args=(remote,)) for remote in (closed, deserted)]
    for thread in threads:
        thread.start()
    until(lambda: len(peer.connections) == 4, 5.0, "both listen")
    closed.close()
    threads[0].join()
    assert ends == [[]]
    peer.end()
    threads[1].join()
    assert "has ended" in str(ends[1])
    deserted.close()
    with pytest.raises(EngineError, match="closed"):
        closed.on("/beat", print)


def test_an_asyncio_loop_over_beats_ends_with_close(peer: Peer) -> None:
    async def go() -> list[int]:
        s = await aio.connect(port=peer.port)

        async def follow() -> list[int]:
            return [beat async for beat in s.beats()]

        task = asyncio.create_task(follow())
        await asyncio.to_thread(until, lambda: len(peer.connections) == 2, 5.0, "it listens")
        await s.close()
        return await task

    assert asyncio.run(go()) == []
