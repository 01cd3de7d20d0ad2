"""Hostile HTTP against a running server."""

import http.client
import itertools
import random
import socket
import time
from collections.abc import Callable

from tests.each import each
from tests.hostile.conftest import LIMIT, ask_ping, listed, used

from antiphon_bench.rig import ServerProcess

PATIENCE = 5.0


def exchange(server: ServerProcess, raw: str) -> tuple[int, bytes]:
    """The status and the body answered to raw bytes."""
    with socket.create_connection(("127.0.0.1", server.http)) as sock:
        sock.settimeout(60.0)
        sock.sendall(raw.encode("latin-1"))
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        return answer.status, answer.read()


def get(target: str, *headers: str) -> Callable[[str], str]:
    return lambda host: "\r\n".join([f"GET {target} HTTP/1.1", *headers, "", ""]).replace("OURS", host)


TAKEN = {
    "plain": get("/api/status", "Host: OURS"),
    "absolute": get("http://OURS/api/status", "Host: OURS"),
    "own origin": get("/api/status", "Host: OURS", "Origin: http://OURS"),
}
FOREIGN = {
    "no host": get("/api/status"),
    "two hosts": get("/api/status", "Host: OURS", "Host: OURS"),
    "empty host": get("/api/status", "Host: "),
    "list of hosts": get("/api/status", "Host: OURS, OURS"),
    "foreign host": get("/api/status", "Host: evil.example"),
    "no port": get("/api/status", "Host: 127.0.0.1"),
    "other port": get("/api/status", "Host: 127.0.0.1:1"),
    "user in host": get("/api/status", "Host: me@OURS"),
    "foreign target": get("http://evil.example/api/status", "Host: OURS"),
    "foreign host, our target": get("http://OURS/api/status", "Host: evil.example"),
    "other scheme": get("https://OURS/api/status", "Host: OURS"),
    "user in target": get("http://me:pw@OURS/api/status", "Host: OURS"),
    "foreign origin": get("/api/status", "Host: OURS", "Origin: http://evil.example"),
    "null origin": get("/api/status", "Host: OURS", "Origin: null"),
    "two origins": get("/api/status", "Host: OURS", "Origin: http://OURS", "Origin: http://evil.example"),
    "climbing": get("/../../etc/passwd", "Host: OURS"),
    "encoded climbing": get("/%2e%2e/x", "Host: OURS"),
    "encoded nul": get("/%00", "Host: OURS"),
    "long target": get("/" + "a/" * 4000, "Host: OURS"),
    "long header": get("/", "Host: OURS", "X: " + "y" * 20000),
    "many headers": get("/", "Host: OURS", *["A: b"] * 500),
    "two framings": get("/", "Host: OURS", "Content-Length: 3", "Transfer-Encoding: chunked"),
    "negative length": get("/", "Host: OURS", "Content-Length: -1"),
    "huge length": get("/", "Host: OURS", "Content-Length: 99999999999999"),
    "no http": lambda _: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
    "nul bytes": lambda _: "\0" * 300 + "\r\n\r\n",
    "authority form": lambda host: f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "asterisk form": lambda host: f"OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n",
}


@each("name, ours", itertools.product(TAKEN, ("127.0.0.1", "localhost", "LOCALHOST", "[::1]")))
def test_ours_is_answered(calm: ServerProcess, name: str, ours: str) -> None:
    status, body = exchange(calm, TAKEN[name](f"{ours}:{calm.http}"))
    assert status == 200
    assert b"missed_blocks" in body


@each("name", FOREIGN)
def test_what_is_foreign_or_malformed_is_refused(calm: ServerProcess, name: str) -> None:
    status, body = exchange(calm, FOREIGN[name](f"127.0.0.1:{calm.http}"))
    assert 400 <= status < 500
    assert b"missed_blocks" not in body


def test_mutated_requests(calm: ServerProcess) -> None:
    choose = random.Random(8)
    good = (
        f"POST /api/surfaces/approve HTTP/1.1\r\nHost: 127.0.0.1:{calm.http}\r\nContent-Length: 12\r\n\r\n"
        + '{"ip":"x"}  '
    )
    for _ in range(200):
        raw = bytearray(good.encode())
        for _ in range(choose.randrange(1, 6)):
            place = choose.randrange(len(raw))
            if choose.random() < 0.5:
                raw[place] = choose.randrange(256)
            else:
                del raw[place : place + choose.randrange(1, 9)]
        with socket.create_connection(("127.0.0.1", calm.http)) as sock:
            sock.sendall(bytes(raw))
    assert calm.status()["http_errors"] == 0


def test_two_hundred_that_keep_us_waiting(calm: ServerProcess) -> None:
    """Silent, half a request, a trickle, half a body: closed after 5 s; the others are served meanwhile."""
    web, begun = listed(calm, "web"), time.monotonic()
    waiting = {}
    parts = [b"", b"GET / HTTP/1.1\r\nHost: a", b"G", b"GET /api/status HTTP/1.1\r\nX-Slow: "]
    for n in range(200):
        sock = socket.create_connection(("127.0.0.1", calm.http))
        sock.sendall(parts[n % 4])
        sock.setblocking(False)
        waiting[sock] = n % 4 == 3
    closed: list[float] = []
    slowest_http = slowest_osc = 0.0
    while waiting and time.monotonic() - begun < LIMIT:
        for sock, trickles in list(waiting.items()):
            try:
                if trickles:
                    sock.send(b"x")
                while sock.recv(4096):
                    pass
            except BlockingIOError:
                continue
            except OSError:
                pass
            closed.append(time.monotonic() - begun)
            sock.close()
            del waiting[sock]
        at = used(web)
        calm.status()
        slowest_http = max(slowest_http, used(web) - at)
        slowest_osc = max(slowest_osc, ask_ping(calm))
        time.sleep(0.02)  # the pace of the trickle
    assert not waiting
    assert min(closed) > PATIENCE - 0.5
    assert slowest_http < 0.5
    assert slowest_osc < 0.1
