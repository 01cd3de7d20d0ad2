"""Attacks that take minutes, by `make hostile`: floods at every port, many clients, patches in turn, with figures."""

import http.client
import itertools
import json
import os
import random
import re
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.forked import executed
from tests.hostile.conftest import answered, ask_ping, complaints, listed, resident, seen, used
from tests.waiting import until
from tools.lists import OPERATIONS, ROOT

import antiphon
from antiphon.client.connection import OscConnection
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.wire.frames import Framer
from antiphon.kernel.wire.osc import Double, encode, encode_bundle
from antiphon.web.operations import Operation
from antiphon_bench.rig import ServerProcess, free_port

pytestmark = [pytest.mark.standing, pytest.mark.timeout(1200)]
PACKETS = int(os.environ.get("HOSTILE_PACKETS", "100000"))
"""Packets at each port."""
CLIENTS = 500
SWAP_MINUTES = float(os.environ.get("HOSTILE_MINUTES", "8"))
TURN_SECONDS = 0.05
"""Processor time of control's loop, at most, until it answers another's `/ping`."""
MEMORY = 48 << 20
"""Bytes that a process may grow by in a flood."""
TREAT_AS_LONG = {"get_lessons_path_name_heard", "post_mcp_hear"}
"""Operations that wait for what is played: they are not asked as fast as can be."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("standing")


@pytest.fixture(scope="module")
def stage(home: Path) -> Iterator[ServerProcess]:
    """A server with every port that a plugin of `antiphon` opens."""
    doors = "--dirt-port", str(free_port()), "--strudel-port", str(free_port())
    options = "--audio", "headless", "--patch", "band", "--live", *doors
    with ExitStack() as stack:
        with executed():
            running = stack.enter_context(ServerProcess(*options, home=home, wait=120.0))
        running.sync()
        yield running


def mutated(seed: int) -> Iterator[bytes]:
    """Good packets, bundles, patterns, cut and changed ones, and bytes of no kind."""
    choose = random.Random(seed)
    addresses = "/tempo", "/beat", "/note/on", "/node/voice/gain", "/patch/load", "/sync", "/at", "/**/****", "/notify"
    args: tuple[Any, ...] = (0, 1, -1, 1e30, "x", "nope", b"blob", None, True, 60, float("nan"))
    while True:
        good = encode(choose.choice(addresses), *choose.sample(args, choose.randrange(4)))
        packet = encode_bundle(choose.randrange(3), [good] * choose.randrange(9)) if choose.random() < 0.2 else good
        data = bytearray(packet)
        if choose.random() < 0.5:
            for _ in range(choose.randrange(1, 5)):
                data[choose.randrange(len(data))] = choose.randrange(256)
        if choose.random() < 0.2:
            data = data[: choose.randrange(len(data))]
        yield bytes(data) if choose.random() < 0.95 else choose.randbytes(choose.randrange(200))


def send_udp(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for packet in itertools.islice(mutated(port), PACKETS):
            with suppress(OSError):
                sock.sendto(packet, ("127.0.0.1", port))


def send_tcp(port: int, wrapped: bool) -> None:
    """By connections of 500 packets each, read by nobody; without `wrapped` they are no frames."""
    packets, framer = mutated(port + wrapped), Framer()
    for _ in range(PACKETS // 1000):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10.0) as sock:
            sock.settimeout(10.0)
            some = itertools.islice(packets, 500)
            sock.sendall(b"".join(map(framer.wrap, some)) if wrapped else b"".join(some))


@pytest.mark.parametrize("door", ["osc udp", "osc tcp", "http", "dirt", "strudel"])
def test_a_hundred_thousand_packets_harm_nothing(
    stage: ServerProcess, door: str, figure: Callable[[str], None]
) -> None:
    before = {name: (listed(stage, name), resident(listed(stage, name))) for name in ("control", "engine", "web")}
    missed, began = stage.status()["missed_blocks"], time.monotonic()
    given = {name: int(stage.options[stage.options.index(f"--{name}-port") + 1]) for name in ("dirt", "strudel")}
    ports = {"osc udp": stage.osc, "osc tcp": stage.osc, "http": stage.http, **given}
    if door in ("osc udp", "dirt"):
        send_udp(ports[door])
    else:
        send_tcp(ports[door], True)
        send_tcp(ports[door], False)
    stage.send("/panic")
    answered(stage)
    grown = {name: (resident(pid) - size) >> 20 for name, (pid, size) in before.items()}
    assert {name: listed(stage, name) for name in before} == {name: pid for name, (pid, _) in before.items()}
    assert max(grown.values()) < MEMORY >> 20, grown
    assert "Traceback" not in stage.standard_error()
    passed, late = time.monotonic() - began, stage.status()["missed_blocks"] - missed
    figure(f"{PACKETS:,} in {passed:.0f} s, grown by {grown} MiB, {late} blocks missed")


def test_five_hundred_clients_leave_another_answered(stage: ServerProcess, figure: Callable[[str], None]) -> None:
    with ExitStack() as stack:
        for n in range(CLIENTS):
            with suppress(OSError):
                sock = stack.enter_context(socket.create_connection(("127.0.0.1", stage.osc), 10.0))
                sock.sendall(Framer().wrap(encode("/notify", n % 2)))
        worst = max(ask_ping(stage) for _ in range(20))
        control = listed(stage, "control")
        files = len(list(Path(f"/proc/{control}/fd").iterdir()))
    answered(stage)
    assert "Traceback" not in stage.standard_error()
    figure(f"{files} files of control open, another's /ping after {worst:.2f} s of its processor at most")


class Fast:
    """Eight clients that do one thing as fast as they can, until `end`. `count`: how often it was done."""

    def __init__(self, connect: Callable[[], Any], ask: Callable[[Any], object]) -> None:
        self.ended, self.count = threading.Event(), 0

        def work() -> None:
            while not self.ended.is_set():
                with suppress(OSError, http.client.HTTPException), closing(connect()) as connection:
                    while not self.ended.is_set():
                        ask(connection)
                        self.count += 1

        self.threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()


def by_http(stage: ServerProcess, operation: Operation, token: str) -> Fast:
    """Clients of an operation, by its example."""
    example = operation.example
    path = urllib.parse.quote(operation.path.format(**example))
    if operation.query is not None and not operation.lines:
        path += "?" + urllib.parse.urlencode({name: example[name] for name in operation.query.__struct_fields__})
    body = json.dumps(example["body"]).encode() if "body" in example else None
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if operation.upload:
        body, headers["Content-Type"] = bytes(1 << 20), "audio/wav"

    def ask(connection: http.client.HTTPConnection) -> None:
        connection.request(operation.method.upper(), path, body, headers)
        connection.getresponse().read()

    return Fast(lambda: http.client.HTTPConnection("127.0.0.1", stage.http, timeout=60.0), ask)


def by_websocket(stage: ServerProcess) -> Fast:
    """Clients of a WebSocket: each listens to an address, and sends it as OSC, in one piece of 64 frames."""

    def connect() -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", stage.http), 10.0)
        sock.sendall(
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" % stage.http
        )
        assert b"101" in sock.recv(4096)
        return sock

    def frame(kind: int, data: bytes) -> bytes:
        return bytes([0x80 | kind, 0x80 | len(data)]) + bytes(4) + data  # masked by zeros

    listen = frame(1, json.dumps({"COMMAND": "LISTEN", "DATA": "/node/bass/level"}).encode())
    piece = (listen + frame(2, encode("/node/bass/level", -6.0))) * 32
    return Fast(connect, lambda sock: (sock.sendall(piece), sock.setblocking(True)))


def doors(stage: ServerProcess) -> Iterator[tuple[str, Callable[[], Fast]]]:
    """Every route, upload and socket, by name."""
    token = next(stage.home.rglob("token")).read_text().strip()
    for operation in OPERATIONS:
        if operation.method != "DELETE" and operation.id not in TREAT_AS_LONG:
            yield operation.id, lambda operation=operation: by_http(stage, operation, token)
    yield "websocket", lambda: by_websocket(stage)


def test_no_door_holds_another_client(stage: ServerProcess, figure: Callable[[str], None]) -> None:
    """Each door in turn under eight clients as fast as they can: another is answered by control and by web."""
    control, web = listed(stage, "control"), listed(stage, "web")
    slowest: dict[str, list[tuple[float, str]]] = {"control": [], "web": []}
    idle = []
    for name, begin in doors(stage):
        fast, took = begin(), {"control": 0.0, "web": 0.0}
        try:
            for _ in range(3):
                time.sleep(0.05)  # between two questions the eight go on
                took["control"] = max(took["control"], ask_ping(stage))
                begun = used(web)
                with suppress(OSError):
                    stage.request("GET", "/api/live")
                took["web"] = max(took["web"], used(web) - begun)
        finally:
            fast.end()
        idle += [] if fast.count else [name]
        for process, seconds in took.items():
            slowest[process] = sorted([*slowest[process], (round(seconds, 2), name)])[-3:]
    assert (listed(stage, "control"), listed(stage, "web")) == (control, web)
    figure(f"processor time until another was answered, at most: {slowest}")
    assert idle == []
    assert slowest["control"][-1][0] < TURN_SECONDS, slowest
    assert slowest["web"][-1][0] < 2 * TURN_SECONDS, slowest
    answered(stage)
    assert "Traceback" not in stage.standard_error()


def by_osc(stage: ServerProcess, packet: bytes) -> Fast:
    """Clients of an address, by TCP: 32 messages in one piece, and the answers to them."""

    def ask(connection: OscConnection) -> None:
        connection.send(*[packet] * 32, encode("/sync", 1))
        next(message for message in connection.messages(time.monotonic() + 60.0) if message.address == b"/synced")

    return Fast(lambda: OscConnection("127.0.0.1", stage.osc, tcp=True), ask)


def commands() -> Iterator[tuple[str, bytes]]:
    """Every address of docs/osc.md but that which changes the sound device, with its arguments."""
    values: dict[str, Any] = {"i": 1, "f": 1.0, "d": Double(1.0), "s": "x", "x": 1, "b": b""}
    for address, given in re.findall(r"^- `(/[^` ]+)([^`]*)`", (ROOT / "docs" / "osc.md").read_text(), re.MULTILINE):
        if address != "/audio/device":
            yield address, encode(address, *(values[word.strip("[]")[0]] for word in given.split()))


def test_no_command_holds_another_client(stage: ServerProcess, figure: Callable[[str], None]) -> None:
    """Each address in turn under eight clients as fast as they can: another's `/ping` is answered."""
    control, slowest = listed(stage, "control"), list[tuple[float, str]]()
    for address, packet in commands():
        fast = by_osc(stage, packet)
        try:
            took = max(ask_ping(stage) for _ in range(3))
        finally:
            fast.end()
        slowest = sorted([*slowest, (round(took, 3), address)])[-3:]
        assert fast.count, address
    assert listed(stage, "control") == control
    figure(f"processor time until another was answered, at most: {slowest}")
    assert slowest[-1][0] < TURN_SECONDS, slowest
    stage.send("/panic")
    answered(stage)
    assert "Traceback" not in stage.standard_error()


FAULTS = int(os.environ.get("HOSTILE_FAULTS", "1000"))


def test_a_thousand_faults_of_a_hosted_plugin(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Each is dry at once, and the plugin is there again; the engine and its other sound miss nothing by it."""
    made_plugin = pytest.importorskip("antiphon_host.tests.made_plugin")
    if not made_plugin.build(tmp_path):
        pytest.skip("there is no C compiler to build a plugin with")
    (tmp_path / "hosted.toml").write_text(
        f'format = 1\nnodes.fx = {{type = "plugin", uri = "lv2:{made_plugin.URI}:gain", gain = 0.5}}\n'
        'wires = {"in" = "fx", "fx" = "out"}\n'
    )
    names = [name for name in made_plugin.FAULTS if name not in ("none", "memory")]
    options = "--audio", "headless", "--patch", str(tmp_path / "hosted.toml")
    with executed(), ServerProcess(*options, home=tmp_path, env={"LV2_PATH": str(tmp_path)}) as server:

        def state() -> tuple[str, int]:
            worker = server.status()["workers"][0]
            return worker["state"], worker["restarts"]

        until(lambda: state()[0] == "running", 60.0, "it plays")
        pids, memory, missed = server.pids(), resident(server.pids()["engine"]), server.status()["missed_blocks"]
        ended = 0
        for n in range(FAULTS):
            before = state()[1]
            server.send("/node/fx/bypass_2", names[n % len(names)])
            until(lambda: state() != ("running", before), 30.0, "it has failed")  # noqa: B023
            server.send("/node/fx/bypass_2", "none")

            def back() -> bool:
                if state()[0] == "running":
                    return True
                server.send("/node/fx/reset")  # quarantined after three
                return False

            until(back, 30.0, "it is back")
            ended += 1
        assert server.pids() == pids
        grown, lost = (resident(pids["engine"]) - memory) >> 20, server.status()["missed_blocks"] - missed
        figure(f"{ended} faults ({', '.join(names)}), the engine grew by {grown} MiB, {lost} blocks missed")
        assert grown < 16
        assert "Traceback" not in server.standard_error()


def test_patches_in_turn_leave_nothing_behind(stage: ServerProcess, figure: Callable[[str], None]) -> None:
    pids = {name: listed(stage, name) for name in ("control", "engine", "web")}
    sizes: list[dict[str, int]] = []
    with antiphon.connect(port=stage.osc, timeout=60.0) as remote:
        patches, loads, failed = remote.patches, 0, 0
        ends = time.monotonic() + 60.0 * SWAP_MINUTES
        while time.monotonic() < ends:
            for patch in patches:
                try:
                    remote.load(patch, fade=0.05)
                    loads += 1
                except AntiphonError:  # it needs what is not here
                    failed += 1
            sizes.append({name: resident(pid) >> 20 for name, pid in pids.items()})
        remote.load("band")
    assert {name: listed(stage, name) for name in pids} == pids
    # the first round loads what each patch needs: sounds, models
    grown = {name: sizes[-1][name] - sizes[len(sizes) // 2][name] for name in pids} if len(sizes) > 3 else {}
    figure(
        f"{loads} loads, {failed} refused, MiB by round {sizes[:1]} … {sizes[-1:]}, grown in the second half {grown}"
    )
    assert all(size < 64 for size in grown.values()), sizes
    until(lambda: seen(stage)[0] == pids["control"], 10.0, "the same control answers")
    assert "Traceback" not in complaints(stage)
