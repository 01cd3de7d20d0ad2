"""Any bytes on the OSC ports of a running server: counted, answered or dropped; the next is answered."""

from __future__ import annotations

import random
import socket
import struct
import time
from pathlib import Path

import pytest
from tests.each import each
from tests.hostile.conftest import answered, children, resident
from tests.waiting import until

from antiphon.kernel.wire.osc import encode
from antiphon_bench.rig import ServerProcess, bundle, message, ntp


@pytest.fixture
def client(server: ServerProcess) -> Client:
    return Client(server)


class Client:
    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(60.0)

    def send(self, data: bytes) -> None:
        self.sock.sendto(data, ("127.0.0.1", self.server.osc))

    def ask(self, data: bytes) -> list[bytes]:
        """Everything answered to one packet, found by a ping behind it."""
        self.send(data)
        self.send(message("/ping", 99))
        heard: list[bytes] = []
        while len(heard) < 1000 and not (packet := self.sock.recv(65536)).startswith(b"/pong\0\0\0,id\0\0\0\0\x63"):
            heard.append(packet)
        return heard


def counted(server: ServerProcess) -> int:
    return int(server.status()["osc_failed"])


# What sclang sends that no standard knows (bytes as they were seen), and what it is answered.
ODD = {
    "raw": (bytes.fromhex("2f702f726177"), b"/fail"),
    "number address": (bytes.fromhex("0000004d2c69000000000001"), b"/fail"),
    "no slash": (b"noslash\0,\0\0\0", b"/fail"),
    "empty tags": (b"/x\0\0,\0\0\0", b"/fail"),
    "character without data": (b"/ping\0\0\0,a\0\0", b"/pong"),
    "array": (b"/ping\0\0\0,[ii]\0\0\0" + struct.pack(">ii", 1, 2), b"/pong"),
    "infinity": (b"/node/gain/gain\0,f\0\0" + struct.pack(">f", float("inf")), b"/fail"),
    "float as an element": (
        b"#bundle\0" + struct.pack(">QI", 1, 12) + bytes.fromhex("3dcccccd") + b",b\0\0\0\0\0\0",
        b"/fail",
    ),
    "blob of a list": (b"/node/gain/gain\0,b\0\0\0\0\0\x14\0\0\0\1,fs\0\x40\x20\0\0x\0\0\0\0\0\0\0", b"/fail"),
    "lone surrogate": (b"/patch/load\0,c\0\0" + struct.pack(">I", 0xD800), b"/fail"),
    "unknown tag": (b"/ping\0\0\0,q\0\0", b"/fail"),
    "no tags": (b"/ping\0\0\0", b"/pong"),
    "tags promise more": (b"/ping\0\0\0,iiii\0\0\0\0\0\0\1", b"/fail"),
    "blob promises more": (b"/ping\0\0\0,b\0\0\x7f\xff\xff\xff", b"/fail"),
    "string without end": (b"/ping\0\0\0,s\0\0abcd", b"/fail"),
    "bundle cut": (b"#bundle\0\0\0\0\0", b"/fail"),
    "element too long": (b"#bundle\0" + struct.pack(">QI", 1, 1 << 31), b"/fail"),
    "nan": (b"/tempo\0\0,f\0\0" + struct.pack(">f", float("nan")), b"/fail"),
    "only nul": (b"\0" * 65504, b"/fail"),
    "long address": (b"/" + b"a" * 65490 + b"\0\0\0\0\0", b"/fail"),
    "long pattern": (encode("/" + "*" * 65000), b"/fail"),
    "deep array": (b"/ping\0\0\0," + b"[" * 60003 + b"\0\0\0\0", b"/fail"),
}


@each("name", ODD)
def test_an_odd_packet_is_answered_once(calm: ServerProcess, client: Client, name: str) -> None:
    packet, answer = ODD[name]
    before = counted(calm)
    heard = client.ask(packet)
    assert [h[: len(answer)] for h in heard] == [answer]
    assert counted(calm) - before == (answer == b"/fail")


def test_empty_bundles_are_legal(calm: ServerProcess, client: Client) -> None:
    before = counted(calm)
    assert client.ask(bundle(1)) == []
    assert counted(calm) == before


@each("depth", [16, 17, 1000])
def test_bundles_nest_sixteen_deep(calm: ServerProcess, client: Client, depth: int) -> None:
    """Inner time tags that go back in time are those of the bundle around them."""
    packet = encode("/ping", 5)
    for level in range(depth):
        packet = bundle(ntp(time.time() - 10.0 + level * 0.001) if depth < 20 else 1, packet)
    heard = client.ask(packet)
    assert [h[:5] for h in heard] == [b"/pong" if depth <= 16 else b"/fail"]


@each(
    "pattern",
    ["*?" * 200, "{a,b}" * 80, "*" * 500, "[!a]" * 100 + "*", "{" * 500, "[a-z" * 100, "{*?a,*?b}" * 40, "*a" * 200],
)
def test_patterns_that_ruin_backtrackers_cost_little(calm: ServerProcess, client: Client, pattern: str) -> None:
    for _ in range(50):
        client.send(encode(f"/node/{pattern}/wet", 1.0))
        client.send(encode(f"/node/gain/{pattern}", 1.0))
    answered(calm)
    assert client.ask(encode("/node/gain/wet"))[-1].startswith(b"/node/gain/wet")


def test_one_packet_of_very_many_messages(calm: ServerProcess) -> None:
    for element in (encode("/a"), encode("/node/gain/gain", 1.0), b""):
        count = 1_000_000 // (len(element) + 4)
        packet = bundle(1) + (len(element).to_bytes(4, "big") + element) * count
        frame = len(packet).to_bytes(4, "big") + packet
        with socket.create_connection(("127.0.0.1", calm.osc)) as sock:
            sock.sendall(frame)
            answered(calm)
            assert sock.recv(4096)[4:9] == b"/fail"


def test_mutated_packets_by_udp(calm: ServerProcess, client: Client) -> None:
    choose = random.Random(5)
    seeds = [
        encode("/node/gain/gain", 1.5, 0.1),
        encode("/node/*/{wet,gain}/norm", 0.5),
        encode("/patch/load", "../../x"),
        encode("/sync", 5),
        encode("/notify", 1, 9),
        encode("/ping", 1, "x", b"blob", (1, (2.0, None, True))),
        encode("/record/start", "a/../b"),
        bundle(1, encode("/beat"), bundle(7 << 60, encode("/tempo", 90.0))),
    ]
    for _ in range(1500):
        packet = bytearray(choose.choice(seeds))
        for _ in range(choose.randrange(1, 5)):
            place = choose.randrange(len(packet))
            if choose.random() < 0.7:
                packet[place] = choose.choice((choose.randrange(256), *b"*?[]{},/\0"))
            elif len(packet) > 8:
                del packet[place:][: choose.randrange(8)]
        client.send(bytes(packet))
    answered(calm)
    client.send(encode("/notify", 0))


def test_noise_and_half_open_connections_by_tcp(calm: ServerProcess) -> None:
    choose = random.Random(6)
    held = []
    for n in range(150):
        sock = socket.create_connection(("127.0.0.1", calm.osc))
        start = choose.choice(
            [b"", b"\0\0\0\x14", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xc0", b"\xc0\xdb\xff", b"/", b"GET"]
        )
        sock.sendall(start + choose.randbytes(choose.randrange(0, 300)))
        if n % 2:
            held.append(sock)
        else:
            sock.close()
    answered(calm)
    for sock in held:
        sock.close()


@each("framing", ["length", "slip"])
def test_one_byte_at_a_time(calm: ServerProcess, framing: str) -> None:
    packet = encode("/ping", 3)
    frame = len(packet).to_bytes(4, "big") + packet if framing == "length" else b"\xc0" + packet + b"\xc0"
    with socket.create_connection(("127.0.0.1", calm.osc)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame:
            sock.sendall(bytes([byte]))
            answered(calm)
        assert b"/pong" in sock.recv(4096)


def test_a_frame_that_says_two_gigabytes_is_refused_and_closed(calm: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", calm.osc)) as sock:
        sock.settimeout(60.0)
        sock.sendall(b"\0\0\0\x10" + encode("/ping", 1)[:16] + struct.pack(">I", 1 << 31))
        heard = b""
        while data := sock.recv(4096):
            heard += data
    assert b"/fail" in heard


def test_a_hundred_thousand_future_events(calm: ServerProcess, client: Client) -> None:
    before, refused = resident(calm.pids()["control"]), counted(calm)
    later = bundle(ntp(time.time() + 600.0), *[encode("/node/gain/gain", 1.0)] * 1000)
    for _ in range(100):
        client.send(later)
        answered(calm, 1.0)  # not so fast that the kernel would drop any
    # another's message overtakes what waits of this sender: its ping says nothing about these
    until(lambda: counted(calm) - refused >= 100_000 - 65536, 20.0, "all taken or refused")
    answered(calm)
    assert calm.status()["scheduled"] == 65536
    assert resident(calm.pids()["control"]) - before < 128 << 20
    client.send(encode("/clearSched"))
    until(lambda: calm.status()["scheduled"] == 0, 1.0, "/clearSched")
    answered(calm)


NAMES = [
    "..",
    "../x",
    "a/b",
    "/etc/passwd",
    "\\x",
    "~/x",
    ".",
    ".hidden",
    "a\tb",
    "x" * 10000,
    "x" * 300,
    "é\u202e",
    "",
]


@pytest.mark.parametrize("address", ["/patch/load", "/patch/save", "/record/start", "/session/record"])
def test_names_that_lead_out_are_refused(calm: ServerProcess, client: Client, address: str) -> None:
    data = calm.home / "data"
    before = sorted(data.rglob("*"))
    for name in NAMES:
        (heard,) = client.ask(encode(address, name))
        assert heard.startswith(b"/fail"), name
    (heard,) = client.ask(encode(address)[:-4] + b",c\0\0\0\0\0\0")
    assert heard.startswith(b"/fail")
    assert [p for p in sorted(data.rglob("*")) if p not in before and not p.is_dir()] == []


def test_names_of_nodes(calm: ServerProcess, client: Client) -> None:
    for name in [*NAMES, "in", "out", "list", "9x", "a b", "a*", "a.b", "gain"]:
        (heard,) = client.ask(encode("/node/add", "gain", name))
        assert heard.startswith(b"/fail"), name


def test_a_link_that_leads_out_is_not_followed(calm: ServerProcess, client: Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret.toml"
    secret.write_text("format = 1\n")
    wanted = [("patches", "/patch/load", ".toml"), ("patches", "/patch/save", ".toml")]
    wanted += [("recordings", "/record/start", ".wav"), ("sessions", "/session/record", "")]
    for kind, address, suffix in wanted:
        folder = calm.home / "data" / kind
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / f"link{suffix}"
        link.unlink(missing_ok=True)
        link.symlink_to(secret)
        (heard,) = client.ask(encode(address, "link"))
        assert heard.startswith(b"/fail"), address
        link.unlink()
    assert secret.read_text() == "format = 1\n"


def test_the_server_has_its_five_children_still(calm: ServerProcess) -> None:
    assert calm.process is not None
    assert len(children(calm.process.pid)) == 5
