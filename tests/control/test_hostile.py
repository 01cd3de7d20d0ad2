"""Any bytes on any port: counted, answered or dropped; never an exception, never a changed structure."""

import asyncio
import random
import socket

import pytest
from tests.control.rig import Rig

from antiphon.kernel.wire.osc import encode, encode_bundle

SEEDS = [
    encode("/node/a/gain", 1.5, 0.1),
    encode("/node/*/{wet,gain}/norm", 0.5),
    encode("/node/add", "gain", "x", "a"),
    encode("/patch/load", "../../x"),
    encode("/sync", 5),
    encode("/notify", 1, 9),
    encode("/tempo", 99.0, 4),
    encode("/ping", 1, "x", b"blob", (1, (2.0, None, True))),
    encode("/record/start", "a/../b"),
    encode_bundle(1, [encode("/node/b/steps", 4), encode_bundle(7 << 60, [encode("/panic")]), encode("/clearSched")]),
]


def hostile(choose: random.Random) -> bytes:
    """A good packet with a few bytes changed, cut, or doubled; or noise."""
    if choose.random() < 0.1:
        return choose.randbytes(choose.randrange(80))
    packet = bytearray(choose.choice(SEEDS))
    for _ in range(choose.randrange(1, 5)):
        place = choose.randrange(len(packet))
        match choose.randrange(4):
            case 0:
                packet[place] = choose.randrange(256)
            case 1:
                packet[place] = choose.choice(b"*?[]{},/\0\xff")
            case 2:
                del packet[place:][: choose.randrange(8)]
            case _:
                packet[place:place] = packet[place : place + 4]
        if not packet:
            break
    return bytes(packet)


@pytest.mark.parametrize("seed", range(4))
async def test_mutated_packets(live: Rig, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = random.Random(seed)
    wrong: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: wrong.append(context))
    client = live.client()
    for _ in range(20):
        for _ in range(100):
            client.raw(hostile(choose))
        await live.settle()
        client.heard()
    assert wrong == []
    assert live.app.counts()["osc_received"] == 2000
    assert live.app.counts()["osc_failed"] > 500
    names = {n.name for n in live.app.graph.nodes}
    assert {"a", "b"} <= names
    assert (await client.ask("/ping"))[-1][0] == "/pong"


@pytest.mark.parametrize("seed", range(3))
async def test_noise_over_tcp(live: Rig, seed: int) -> None:
    choose = random.Random(seed)
    wrong: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: wrong.append(context))
    before = live.app.session.state.to_json()
    for _ in range(60):
        sock = socket.create_connection(("127.0.0.1", live.app.osc_port))
        start = choose.choice([b"", b"\0\0\0\x14", b"\xc0", b"/", b"\0\0"])
        sock.sendall(start + choose.randbytes(choose.randrange(1, 400)))
        await live.settle(0)
        sock.close()
    await live.settle()
    assert wrong == []
    assert live.app.session.state.to_json() == before
    assert (await live.client().ask("/ping"))[0][0] == "/pong"
