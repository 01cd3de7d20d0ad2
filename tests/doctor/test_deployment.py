"""`antiphon deploy check` against what is no Antiphon: silence, garbage, floods, redirects, trickles."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from antiphon.cli.commands import application
from antiphon.doctor.deployment import working
from antiphon.doctor.deployment.address import parse_address
from antiphon.doctor.deployment.checking import client_of
from antiphon.kernel.errors import UsageError

Answer = Callable[[socket.socket], None]


@contextmanager
def hostile(answer: Answer) -> Iterator[int]:
    """A server that hands each connection to `answer`; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    ending = threading.Event()

    def serve() -> None:
        while not ending.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(20)
                try:
                    connection.recv(65536)
                    answer(connection)
                except OSError:
                    pass  # the client has left, as it should

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ending.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(30)


def silence(connection: socket.socket) -> None:
    connection.recv(1)


def garbage(connection: socket.socket) -> None:
    connection.sendall(b"\x00\xff\x1b[2J not http at all\r\n\r\n" * 20)


def closing(connection: socket.socket) -> None:
    """Answers nothing."""


def flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def header_flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"x" * 4000 + b"\r\n")


def trickle(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not threading.Event().wait(0.05):
        connection.sendall(b"x")


def endless(connection: socket.socket) -> None:
    """An answer of no length, which ends with the connection."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not threading.Event().wait(0.05):
        connection.sendall(b"x")


def negative(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n")


def redirect(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")


def anything(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"health": "ok"}')


def deep(connection: socket.socket) -> None:
    body = b"[" * 200_000
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def refusing(connection: socket.socket) -> None:
    body = b'{"error": "\\u001b[2J no"}'
    connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def check(port: int, seconds: str = "60") -> tuple[int, str, dict[str, dict[str, str]]]:
    """The exit status, all of the output, and what was found by its name."""
    words = ["deploy", "check", f"http://127.0.0.1:{port}", "--timeout", seconds, "--json"]
    done = CliRunner().invoke(application(words), words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    report = json.loads(done.stdout)
    return done.exit_code, done.output, {found["name"]: found for found in report["checks"]}


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (silence, "no answer to GET /api/health within 0.5 s"),
        (garbage, "is not HTTP"),
        (closing, "the connection was closed before"),
        (flood, "is longer than"),
        (header_flood, "is not HTTP"),
        (trickle, "no answer to GET /api/health within 0.5 s"),
        (endless, "no answer to GET /api/health within 0.5 s"),
        (negative, "is not HTTP"),
        (redirect, "a redirect, which is not followed"),
        (deep, "is not JSON"),
        (refusing, "503"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_antiphon_fails_in_a_sentence(answer: Answer, sentence: str) -> None:
    with hostile(answer) as port:
        status, printed, found = check(port, "0.5" if "within 0.5 s" in sentence else "60")
    assert status == 1
    assert found["health"]["state"] == "failed"
    assert sentence in found["health"]["text"]
    assert "\x1b" not in printed
    assert "Traceback" not in printed


def test_what_answers_everything_fails_where_it_should_refuse() -> None:
    with hostile(anything) as port:
        status, _, found = check(port)
    assert status == 1
    assert found["health"]["state"] == "ok"
    assert {name for name, one in found.items() if one["state"] == "failed"} == {"headers", "refusals", "open"}
    assert "/.env" in found["open"]["text"]


def test_nothing_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    status, _, found = check(port)
    assert status == 1
    assert found["health"]["text"].startswith("no connection")
    assert found["work"]["state"] == "skipped"


def addresses(monkeypatch: pytest.MonkeyPatch, *places: tuple[str, int]) -> None:
    """Gives every name these addresses."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(found))


def test_the_addresses_of_a_name_share_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile(anything) as port, socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as held:
        silent = full.getsockname()
        for _ in range(3):  # beyond its backlog nothing is answered
            filling = held.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(silent)
        addresses(monkeypatch, silent, silent, ("127.0.0.1", port))
        assert check(port, "2")[2]["health"]["state"] == "ok"
        addresses(monkeypatch, *[silent] * 5)
        found = check(port, "0.5")[2]["health"]
    assert (found["state"], "within 0.5 s" in found["text"]) == ("failed", True)


def test_an_address_that_answered_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile(anything) as port, socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        addresses(monkeypatch, dead.getsockname(), ("127.0.0.1", port))
        client = client_of(parse_address(f"http://127.0.0.1:{port}"), "", None, 5.0)
        assert client.ask("GET", "/").status == 200, "the second, since the first refuses"
        dead.listen()
        assert client.ask("GET", "/").status == 200, "the second at once: the first would be silent"
        dead.setblocking(False)
        with pytest.raises(BlockingIOError):
            dead.accept()


def test_the_token_is_sent_to_no_one_over_http_beyond_this_machine() -> None:
    token = "0" * 31 + "1"
    assert client_of(parse_address("http://studio.example"), token, None).token == ""
    assert client_of(parse_address("https://studio.example"), token, None).token == token
    assert client_of(parse_address("http://127.0.0.1:4401"), token, None).token == token


@pytest.mark.parametrize(
    "url",
    ["studio.example", "ftp://studio.example", "https://", "https://a/path", "https://user:word@a", "https://a?b",
     "https://a#b", "https://a:port", "https://a:0", "https://a b", "https://[::1", "https://a:99999"],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError, match="URL is https://HOST"):
        parse_address(url)


def test_addresses() -> None:
    assert str(parse_address("https://studio.example/")) == "https://studio.example"
    assert parse_address("https://studio.example").port == 443
    assert parse_address("http://[::1]:4401").host == "::1"
    assert parse_address("http://[::1]:4401").local


def test_a_token_file_without_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\x1b[2J secret")
    done = CliRunner().invoke(application(), ["deploy", "check", "http://a", "--token-file", str(tmp_path / "token")])
    assert isinstance(done.exception, UsageError)
    assert "secret" not in str(done.exception)


def test_a_result_is_compared_sample_by_sample() -> None:
    sound = working.signal(1.0)
    assert np.abs(sound).max() < 0.5
    assert working.difference(working.wav(sound * 0.5), sound * 0.5) == ""
    assert "is off by up to" in working.difference(working.wav(sound), sound * 0.5)
    assert "is off by up to" in working.difference(working.wav(np.roll(sound, 1)), sound)
    assert "frames" in working.difference(working.wav(sound[:1000]), sound)
    assert working.difference(b"RIFF but no sound", sound) == "the result is no sound file"
