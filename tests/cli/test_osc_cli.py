"""`antiphon osc` and `antiphon monitor` against a control process on real sockets."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import pytest
from tests.control.rig import Rig, rig
from tests.each import each

from antiphon.cli.running import live as live_commands, osc
from antiphon.cli.running.osc import ask, message_text, value
from antiphon.client import asking
from antiphon.client.asking import no_answer, refusal
from antiphon.kernel.errors import EngineError, UsageError, WireError
from antiphon.kernel.wire.osc import Double, Message, decode, encode, encode_bundle

T = TypeVar("T")


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "state") as made:
        yield made


async def beside(live: Rig, call: Callable[[], T]) -> T:
    """What a call in a thread returns, with the server here."""
    work = asyncio.create_task(asyncio.to_thread(call))
    while not work.done():
        await live.settle()
    return work.result()


async def asked(live: Rig, address: str, *words: str, tcp: bool = False) -> list[str]:
    args = [value(w) for w in words]
    return await beside(live, lambda: list(ask(address, args, "127.0.0.1", live.app.osc_port, tcp, 5.0)))


@pytest.mark.parametrize("tcp", [False, True])
async def test_answers_are_printed_and_silence_ends_at_once(live: Rig, tcp: bool) -> None:
    assert await asked(live, "/node/a/gain", tcp=tcp) == ["/node/a/gain 0.5"]
    assert await asked(live, "/node/a/gain", "1.25", tcp=tcp) == []
    assert live.app.executor.value("a", "gain") == 1.25
    assert await asked(live, "/node/b/mode", "wavelet", tcp=tcp) == []
    assert await asked(live, "/node/list", tcp=tcp) == ["/node/list.reply a gain b gain"]
    with pytest.raises(WireError, match="gain takes 0 to 2, not 7"):
        await asked(live, "/node/a/gain", "7", tcp=tcp)


async def test_a_person_is_shown_the_value_that_was_set(
    live: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)

    async def typed(*words: str, to: str = "out") -> str:
        await beside(live, lambda: osc.osc(words[0], list(words[1:]), osc_port=live.app.osc_port))
        said = capsys.readouterr()
        return getattr(said, to)  # type: ignore[no-any-return]

    assert await typed("/transport/play", to="err") == "/transport/play: done\n"
    assert await typed("/node/add", "gain", "c", to="err") == "/node/add: done\n"
    with pytest.raises(WireError, match="there is a node 'a' already"):
        await typed("/node/add", "gain", "a")
    assert await typed("/node/a/gain", "1.25") == "/node/a/gain 1.25\n"
    assert await typed("/node/a/gain") == "/node/a/gain 1.25\n"
    assert await typed("/tempo", "90") == "/tempo 90\n"
    assert await typed("/panic", "1") == "/panic\n"


@pytest.mark.parametrize(("tcp", "address"), [(False, "/library/fits"), (True, "/status")])
def test_nobody_there_is_one_sentence(tcp: bool, address: str) -> None:
    began = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        if not tcp:
            held.connect(("127.0.0.1", 9))  # all but that port are refused
        with pytest.raises(EngineError, match="antiphon serve") as refused:
            list(ask(address, [], "127.0.0.1", held.getsockname()[1], tcp, 60.0))
    waited = re.search(r"after (\d+\.\d) s", str(refused.value))
    # a connection that is refused is no answer that was waited for
    assert waited is None if tcp else waited is not None
    assert waited is None or float(waited[1]) <= time.monotonic() - began + 0.1


@pytest.mark.parametrize("words", ["held", "not approved yet"])
def test_a_machine_that_is_not_approved_is_told_who_approves_it(words: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def refuse() -> None:  # the longest that a datagram of this length is answered with
            for _ in range(2):
                _data, peer = server.recvfrom(100)
                server.sendto(encode("/fail", "", words), peer)

        with ThreadPoolExecutor(1) as pool:
            pool.submit(refuse)
            with pytest.raises(WireError, match=r"`antiphon approve 127\.0\.0\.1`"):
                list(ask("/ping", [], "127.0.0.1", server.getsockname()[1], False, 5.0))


@pytest.mark.parametrize("done_after", [3, 1000])
def test_a_server_that_is_at_work_is_waited_for(monkeypatch: pytest.MonkeyPatch, done_after: int) -> None:
    monkeypatch.setattr(asking, "AT_WORK_SECONDS", 60.0 if done_after == 3 else 3.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, ThreadPoolExecutor(1) as pool:
        server.bind(("127.0.0.1", 0))
        server.settimeout(60.0 if done_after == 3 else 1.0)

        def load() -> int:
            asked, peer, pings = Message(b"", b"", ()), ("", 0), 0
            while pings < done_after:
                try:
                    data, sender = server.recvfrom(100)
                except TimeoutError:
                    return pings
                message = decode(data)
                assert isinstance(message, Message)
                if message.address == b"/ping":
                    pings += 1
                    server.sendto(encode("/pong", 1.0), sender)
                elif message.address == b"/sync":
                    asked, peer = message, sender
            server.sendto(encode("/synced", *asked.args), peer)
            return pings

        pings = pool.submit(load)
        request = ask("/patch/load", [("s", "large")], "127.0.0.1", server.getsockname()[1], False, 0.2)
        if done_after == 3:
            assert list(request) == []
            assert pings.result() == 3
        else:
            with pytest.raises(EngineError, match=r"answers, and is not done with this yet; `antiphon status`"):
                list(request)


def test_silence_of_another_machine_may_be_a_missing_approval() -> None:
    server = SimpleNamespace(host="10.1.2.4", port=4400, own_ip="10.1.2.3")
    told = str(no_answer(server))  # type: ignore[arg-type]
    assert "`antiphon serve --lan` there" in told
    assert "antiphon approve 10.1.2.3" in told


@each("word, found", [
        ("3", ("i", 3)), ("-40", ("i", -40)), ("0.5", ("f", 0.5)), ("1e3", ("f", 1000.0)), ("true", ("T", True)),
        ("False", ("F", False)), ("gate", ("s", "gate")), ("s:4", ("s", "4")), ("d:0.5", ("d", 0.5)),
        ("4294967296", ("h", 2**32)), ("a:b", ("s", "a:b")), ("i:7", ("i", 7)), ("", ("s", "")),
    ])  # fmt: skip
def test_words_become_values(word: str, found: tuple[str, object]) -> None:
    assert value(word) == found


def test_what_no_datagram_holds_is_refused_here() -> None:
    with pytest.raises(UsageError) as refused:
        list(ask("/x", [value("s:" + "x" * 70_000)], "127.0.0.1", 9, False, 0.1))
    assert "\n" not in str(refused.value)


def test_messages_on_a_line() -> None:
    message = decode(encode("/x", 1, 0.1, "two words", "one", b"\1\2", True, None, (1, 2.5), Double(3)))
    assert isinstance(message, Message)
    assert message_text(message) == "/x 1 0.1 'two words' one <2 bytes 0102> true none [1 2.5] 3"


def test_what_a_server_says_cannot_move_a_terminals_cursor() -> None:
    message = decode(encode("/\x1b[2J\n/fake 1", "two\x1b]0;x\x07"))
    assert isinstance(message, Message)
    assert message_text(message) == r"/\x1b[2J\n/fake 1 'two\x1b]0;x\x07'"
    refused = decode(encode("/fail", "/x\n", "\x1b[2J"))
    assert isinstance(refused, Message)
    assert str(refusal(refused)) == r"/x\n: \x1b[2J"


async def test_the_monitor_shows_what_arrives(live: Rig) -> None:
    watching = osc.watch("127.0.0.1", live.app.osc_port, False)

    async def line() -> str:
        return await beside(live, lambda: next(watching))

    assert (await line()).startswith("watching")
    client = live.client()
    client.send("/node/a/gain", 0.25)
    client.raw(b"junk")
    assert (await line()).endswith(f"127.0.0.1:{client.port} /node/a/gain 0.25")
    assert "refused" in await line()


def test_bundles_are_described_with_their_time() -> None:
    tag = (2208988800 + 10) << 32
    packet = decode(encode_bundle(tag, [encode("/a", 1), encode_bundle(1, [encode("/b")])]))
    assert list(osc.describe_packet(packet, 9_500_000_000)) == ["[+0.500 s] /a 1", "[+0.500 s] /b"]
    assert list(osc.describe_packet(decode(encode_bundle(1, [])), 0)) == ["(an empty bundle)"]


@pytest.mark.parametrize(("given", "named"), [("-", "SET.py"), ("mine.py", "mine.py")])
def test_a_script_for_nobody_names_the_command(monkeypatch: pytest.MonkeyPatch, given: str, named: str) -> None:
    monkeypatch.setattr(live_commands, "_read", lambda script: "")
    monkeypatch.setattr(live_commands, "hand_over", lambda *_: 0)
    with pytest.raises(EngineError, match=f"start one: antiphon live {named}$"):
        live_commands.evaluate(given)
