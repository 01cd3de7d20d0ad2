"""Token, certificate, approvals; and the whole HTTP side over real sockets with a fake application."""

import asyncio
import datetime
import hashlib
import http.client
import json
import logging
import ssl
import stat
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from tests.each import each

from antiphon.cli.commands import application
from antiphon.cli.running import page as cli_approve
from antiphon.client import http as client
from antiphon.files.owner_token import load_token
from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT
from antiphon.kernel.control.osc.addresses import ADDRESSES
from antiphon.kernel.control.subscribers.clients import Machine
from antiphon.kernel.errors import EngineError, FileError, PluginError, UsageError, WireError
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.io.listening import local_addresses
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.processes.child_process import socket_pair
from antiphon.performer import script_gate
from antiphon.web import access, certificate
from antiphon.web.access import TokenGuard, plain_ip
from antiphon.web.api.server_state import qr_rows
from antiphon.web.control_link import ControlLink
from antiphon.web.control_requests import Approvals, WebRequests
from antiphon.web.routes import HttpOptions, add_routes, serve_http
from antiphon.web.server import HttpRefusal, HttpRequest, HttpServer, text


class FakeAccess:
    def __init__(self) -> None:
        self.waiting = {"192.168.1.7"}
        self.let_in: set[str] = set()

    def held_addresses(self) -> list[str]:
        return list(self.waiting)

    def approved_addresses(self) -> list[str]:
        return list(self.let_in)

    def machines(self) -> list[Machine]:
        return [Machine(ip, "held", 3.5, 2) for ip in self.waiting]

    def approve(self, ip: str) -> None:
        self.waiting.discard(ip)
        self.let_in.add(ip)

    def restore(self, left: Mapping[str, float]) -> None:
        self.let_in |= left.keys()

    def forget(self, ip: str) -> None:
        if ip not in self.let_in:
            raise UsageError(f"{ip} is neither approved nor held")
        self.let_in.discard(ip)


INFO = ProcessorInfo("gain", "Louder.", "g", (AUDIO_IN,), (AUDIO_OUT,), (Param("gain", default=1.0, high=2.0),))
CATALOG = Catalog({"gain": INFO})
EVERY = (*ADDRESSES, *script_gate.ADDRESSES)


class FakeState:
    """One node, one value."""

    graph = Graph((NodeSpec("loud", "gain"),))

    def value(self, node: str, param: str) -> Value:
        return 0.5


class FakeSession:
    """All that a session has for the web's requests."""

    state = FakeState()


class FakeExecutor:
    """There is nothing to settle."""

    def settle(self) -> None: ...


class FakeApp:
    """A stand-in for the running server: it has one node and says what it is told to."""

    def __init__(self) -> None:
        self.catalog, self.session, self.executor = CATALOG, FakeSession(), FakeExecutor()
        self.access, self.surfaces = FakeAccess(), ()
        self.plugin_addresses = SimpleNamespace(infos=())
        self.directory = SimpleNamespace(fixed=EVERY)
        self.osc_port = 4400

    def status(self) -> dict[str, Any]:
        return {
            "blocks": 7,
            "engine": {"state": "running"},
            "synth": None,
            "nodes": [{"name": "<script>alert(1)</script>"}],
            "peak": float("nan"),
        }


@asynccontextmanager
async def serving(
    folder: Path,
    use_lan: bool = False,
    app: FakeApp | None = None,
    jobs: Path | None = None,
    plugins: Iterable[str] = (),
) -> AsyncIterator[HttpServer]:
    """HTTP with both ends of its link to control, and the routes of plugins."""
    ends = socket_pair()
    told = app = app or FakeApp()
    control, requests = ControlLink(ends[0], ("127.0.0.1", 9)), WebRequests(ends[1], folder, lambda _: told.status())
    if use_lan:
        requests.restore(app)  # type: ignore[arg-type]
    tasks = [asyncio.create_task(control.serve()), asyncio.create_task(requests.serve(app))]  # type: ignore[arg-type]
    try:
        server = await serve_http(control, CATALOG, HttpOptions(folder, jobs, port=0, lan=use_lan))
        try:
            await add_routes(server, dict.fromkeys(plugins, ("antiphon_routes",)))
            yield server
        finally:
            await server.stop()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            end.close()


async def ask(
    server: HttpServer, method: str, path: str, data: Any = None, tls: ssl.SSLContext | None = None, **headers: str
) -> tuple[int, bytes, http.client.HTTPMessage]:
    def blocking() -> tuple[int, bytes, http.client.HTTPMessage]:
        if tls is None:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        else:
            connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=60, context=tls)
        try:
            connection.request(method, path, None if data is None else json.dumps(data), headers)
            reply = connection.getresponse()
            return reply.status, reply.read(), reply.headers
        finally:
            connection.close()

    return await asyncio.to_thread(blocking)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def request(token: str = "", peer: str = "10.0.0.2") -> HttpRequest:
    return HttpRequest("GET", "/", None, {"authorization": f"Bearer {token}"} if token else {}, peer, "10.0.0.1")


# token


def test_the_token_is_128_bits_private_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    token = load_token(folder)
    assert len(bytes.fromhex(token)) == 16
    assert mode(folder / "token") == 0o600
    assert load_token(folder) == token
    assert load_token(tmp_path / "other") != token
    assert [p.name for p in folder.iterdir()] == ["token"]


def test_a_token_others_could_read_or_that_is_damaged_is_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = load_token(tmp_path)
    (tmp_path / "token").chmod(0o644)
    second = load_token(tmp_path)
    (tmp_path / "token").write_bytes(b"")
    third = load_token(tmp_path)
    assert len({first, second, third}) == 3
    assert mode(tmp_path / "token") == 0o600
    assert not any(t in caplog.text for t in (first, second, third))


def test_a_token_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("0" * 32)
    (tmp_path / "token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError, match="remove it"):
        load_token(tmp_path)


def refusal(keeper: TokenGuard, token: str = "", peer: str = "10.0.0.2", *, needed: bool = True) -> int:
    """The status by which a request is refused."""
    with pytest.raises(HttpRefusal) as refused:
        keeper.check(request(token, peer), needed=needed)
    return refused.value.status


def test_the_keeper_slows_guessing_down_per_address() -> None:
    now = [0.0]
    keeper = TokenGuard("a" * 32, clock=lambda: now[0])
    keeper.check(request(), needed=False)
    assert [refusal(keeper, f"{wrong:032x}") for wrong in range(10)] == [403] * 10
    assert refusal(keeper, "b" * 32) == 429
    assert refusal(keeper, "b" * 32, "10.0.0.3") == 403
    now[0] = 60.0
    assert refusal(keeper, "b" * 32) == 403


def test_the_right_token_is_never_refused_whoever_guessed_from_there() -> None:
    keeper = TokenGuard("a" * 32)
    for wrong in range(30):
        refusal(keeper, f"{wrong:032x}")
        keeper.check(request("a" * 32), needed=True)


def test_asking_without_a_token_is_no_guess() -> None:
    keeper = TokenGuard("a" * 32, everything=True)
    assert [refusal(keeper, needed=False) for _ in range(50)] == [401] * 50
    keeper.check(request("a" * 32), needed=True)


def test_guesses_are_forgotten_in_bounded_memory() -> None:
    keeper = TokenGuard("a" * 32)
    for n in range(3000):
        refusal(keeper, "b" * 32, f"10.0.{n // 256}.{n % 256}")
    assert len(keeper._wrong) == access.GUESSERS


def test_without_a_token_nothing_that_needs_one_passes() -> None:
    keeper = TokenGuard(None)
    keeper.check(request(), needed=False)
    for given in ("", "None", "a" * 32):
        refusal(keeper, given)


# certificate


def test_the_certificate_is_kept_private_and_renewed_with_the_same_key(tmp_path: Path) -> None:
    start = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    made = certificate.load(tmp_path, ("127.0.0.1", "192.168.1.5"), start)
    assert mode(made.key) == 0o600
    key = made.key.read_bytes()
    assert certificate.load(tmp_path, ("192.168.1.5",), start + datetime.timedelta(days=300)) == made
    expired = certificate.load(tmp_path, ("192.168.1.5",), start + datetime.timedelta(days=366))
    moved = certificate.load(tmp_path, ("192.168.1.6",), start + datetime.timedelta(days=366))
    assert len({made.fingerprint, expired.fingerprint, moved.fingerprint}) == 3
    assert made.key.read_bytes() == key
    made.key.chmod(0o640)
    certificate.load(tmp_path, (), start)
    assert made.key.read_bytes() != key
    assert mode(made.key) == 0o600


def test_a_damaged_certificate_is_made_again(tmp_path: Path) -> None:
    made = certificate.load(tmp_path, ())
    for broken in (made.certificate, made.key):
        broken.write_bytes(b"-----BEGIN CERTIFICATE-----\nnonsense")
        broken.chmod(0o600)
        context, fingerprint = certificate.tls_context(tmp_path, ())
        assert context is not None
        assert fingerprint != made.fingerprint


# approvals


def test_approvals_outlive_a_restart_but_not_the_night(tmp_path: Path) -> None:
    now = [1e9]
    Approvals(tmp_path, lambda: now[0]).add("192.168.1.7")
    now[0] += 3600
    Approvals(tmp_path, lambda: now[0]).add("192.168.1.8")
    kept = Approvals(tmp_path, lambda: now[0])
    assert kept.load() == {"192.168.1.7": 11 * 3600.0, "192.168.1.8": 12 * 3600.0}
    now[0] += 11.5 * 3600
    assert kept.load() == {"192.168.1.8": 1800.0}
    assert mode(tmp_path / "approved.json") == 0o600
    kept.remove("192.168.1.8")
    kept.remove("192.168.1.9")
    assert Approvals(tmp_path, lambda: now[0]).load() == {}


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b"{", b'{"everyone": 1e9}', b'{"10.0.0.1": null}', b"[" * 100000, b"\xff"]
)
def test_damaged_approvals_let_nobody_in(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "approved.json").write_bytes(damage)
    assert Approvals(tmp_path).load() == {}


@each("ip", ["0.0.0.0", "::", "224.0.0.1", "10.0.0.0/8", "localhost", "", "10.0.0.1 10.0.0.2", "1"])
def test_only_one_machines_address_is_approved(ip: str) -> None:
    with pytest.raises(ValueError, match=r"address|network"):
        plain_ip(ip)
    assert plain_ip("::ffff:10.0.0.1") == "10.0.0.1"
    assert plain_ip(" ::ffff:192.168.1.20 ") == "192.168.1.20"


# over sockets, loopback


async def test_status_tree_and_page(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        code, body, headers = await ask(server, "GET", "/api/status")
        status = json.loads(body)
        assert (code, status["blocks"], status["synth"], status["peak"]) == (200, 7, None, None)
        assert status["http_requests"] == 1
        assert headers["Content-Type"] == "application/json"
        code, body, _ = await ask(server, "GET", "/", Accept="*/*")
        assert json.loads(body)["CONTENTS"]["node"]["CONTENTS"]["loud"]["CONTENTS"]["gain"]["VALUE"] == [0.5]
        code, body, _ = await ask(server, "GET", "/node/loud/gain/norm?VALUE")
        assert (code, json.loads(body)) == (200, {"VALUE": [0.25]})
        code, body, _ = await ask(server, "GET", "/?HOST_INFO", Accept="text/html")
        assert (json.loads(body)["OSC_IP"], json.loads(body)["OSC_PORT"]) == ("127.0.0.1", 4400)
        codes = [(await ask(server, "GET", p))[0] for p in ("/node/loud?VALUE", "/node/x", "/node/loud?X", "/panic")]
        assert codes == [204, 404, 400, 200]
        code, body, headers = await ask(server, "GET", "/", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
        assert (code, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]


async def test_only_loopback_is_bound_without_lan(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        assert server.connections._servers[0].sockets[0].getsockname()[0] == "127.0.0.1"
        others = [ip for ip in local_addresses() if not ip.startswith("127.")]
        for ip in others:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(ip, server.port)


async def test_approving_needs_the_token_even_on_loopback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = FakeApp()
    with caplog.at_level(logging.DEBUG):
        async with serving(tmp_path, app=app) as server:
            token = load_token(tmp_path)
            where, data, owner = "/api/surfaces/approve", {"ip": "192.168.1.7"}, {"Authorization": f"Bearer {token}"}
            assert (await ask(server, "POST", where, data))[0] == 401
            for wrong, code in (f"Bearer {'0' * 32}", 403), (f"Basic {token}", 401):
                assert (await ask(server, "POST", where, data, Authorization=wrong))[0] == code
            for bad in ({"ip": "everyone"}, {"ip": 5}, [], "x", None):
                assert (await ask(server, "POST", where, bad, **owner))[0] == 400
            assert not app.access.let_in
            assert (await ask(server, "POST", where, data, **owner))[0] == 200
            assert app.access.let_in == {"192.168.1.7"}
            assert list(Approvals(tmp_path).load()) == ["192.168.1.7"]
            where = "/api/surfaces/forget"
            assert (await ask(server, "POST", where, data))[0] == 401
            assert app.access.let_in == {"192.168.1.7"}
            assert (await ask(server, "POST", where, {"ip": "x"}, **owner))[0] == 400
            code, body, _ = await ask(server, "POST", where, data, **owner)
            assert (code, json.loads(body)) == (200, {"forgot": "192.168.1.7", "kept": True})
            assert not app.access.let_in
            assert Approvals(tmp_path).load() == {}
            assert (await ask(server, "POST", where, data, **owner))[0] == 404
    assert token not in caplog.text


async def test_every_declared_address_is_in_the_tree(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for address in EVERY:
            code, body, _ = await ask(server, "GET", address.path)
            assert (code, json.loads(body)["FULL_PATH"]) == (200, address.path)
            with pytest.raises(PluginError, match="reserved"):
                server.add("GET", address.path, lambda request: text(""))


async def test_a_folder_that_cannot_be_written_leaves_the_status(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    async with serving(blocked / "config") as server:
        assert (await ask(server, "GET", "/api/status"))[0] == 200
        assert (await ask(server, "POST", "/api/surfaces/approve", {"ip": "10.0.0.1"}))[0] == 403
    with pytest.raises(FileError):
        async with serving(blocked / "config", use_lan=True):
            pass


# over sockets, --lan


def trusting(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    if hasattr(ssl, "VERIFY_X509_STRICT"):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


async def test_lan_is_https_with_our_certificate_and_needs_the_token(tmp_path: Path) -> None:
    async with serving(tmp_path, use_lan=True) as server:
        tls, token = trusting(tmp_path), load_token(tmp_path)
        for path in ("/api/status", "/", "/node/loud", "/?HOST_INFO", "/api/surfaces", "/nothing"):
            assert (await ask(server, "GET", path, tls=tls))[0] == 401, path
        code, body, _ = await ask(server, "GET", "/api/status", tls=tls, Authorization=f"Bearer {token}")
        assert (code, json.loads(body)["blocks"]) == (200, 7)
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=tls)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert hashlib.sha256(der).digest().hex(":") == certificate.load(tmp_path, local_addresses()).fingerprint
        writer.close()


async def test_lan_gives_a_browser_a_page_to_type_the_token_into(tmp_path: Path) -> None:
    async with serving(tmp_path, use_lan=True) as server:
        code, body, headers = await ask(server, "GET", "/", tls=trusting(tmp_path), Accept="text/html")
        assert code == 401
        assert b'id="app"' in body
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        paths = {"/page/app.js": 200, "/page/player.js": 200, "/api/graph": 401, "/page/none.js": 401}
        for path, code in paths.items():
            assert (await ask(server, "GET", path, tls=trusting(tmp_path)))[0] == code, path


async def test_lan_answers_to_its_addresses_only(tmp_path: Path) -> None:
    async with serving(tmp_path, use_lan=True) as server:
        tls, bearer = trusting(tmp_path), f"Bearer {load_token(tmp_path)}"

        async def status(**headers: str) -> int:
            return (await ask(server, "GET", "/api/status", tls=tls, Authorization=bearer, **headers))[0]

        for ip in local_addresses():
            assert await status(Host=f"{ip}:{server.port}") == 200
        for host in ("evil.example", f"evil.example:{server.port}", f"203.0.113.9:{server.port}"):
            assert await status(Host=host) == 421
        assert await status(Origin=f"http://127.0.0.1:{server.port}") == 403


async def test_plain_http_and_silence_do_not_hold_lan_up(tmp_path: Path) -> None:
    async with serving(tmp_path, use_lan=True) as server:
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert b"blocks" not in await asyncio.wait_for(reader.read(), 60)
        token = load_token(tmp_path)
        code, _, _ = await ask(server, "GET", "/api/status", tls=trusting(tmp_path), Authorization=f"Bearer {token}")
        assert code == 200
        for _, open_writer in [*silent, (reader, writer)]:
            open_writer.close()


async def test_approvals_are_given_back_at_the_next_start(tmp_path: Path) -> None:
    Approvals(tmp_path).add("192.168.1.9")
    app = FakeApp()
    async with serving(tmp_path, use_lan=True, app=app):
        assert app.access.let_in == {"192.168.1.9"}


# the command line


async def run(folder: Path, *arguments: str) -> str:
    """What a command prints."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(paths, "config", lambda: folder)
        result = await asyncio.to_thread(CliRunner().invoke, application(arguments), arguments)
    assert result.exit_code == 0, result.output
    return result.output


async def test_surfaces_approve_and_forget_ask_the_running_server(tmp_path: Path) -> None:
    app = FakeApp()
    async with serving(tmp_path, True, app) as server:
        port = f"--http-port={server.port}"
        assert await run(tmp_path, "surfaces", port) == "held 192.168.1.7\n"
        assert await run(tmp_path, "approve", "192.168.1.7", port) == "approved 192.168.1.7\n"
        assert await run(tmp_path, "surfaces", port) == "approved 192.168.1.7\n"
        assert app.access.let_in == {"192.168.1.7"}
        assert await run(tmp_path, "forget", "192.168.1.7", port) == "forgot 192.168.1.7\n"
        assert app.access.let_in == set()
        with pytest.raises(WireError, match="neither approved nor held"):
            await asyncio.to_thread(cli_approve.change, "forget", "192.168.1.7", tmp_path, server.port)
    with pytest.raises(EngineError, match="no server answers"):
        await asyncio.to_thread(cli_approve.change, "approve", "10.0.0.1", tmp_path, server.port)


def test_a_machine_is_named_by_its_address_or_its_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str) -> str:
        if name != "phone.local":
            raise OSError
        return "192.168.1.7"

    monkeypatch.setattr(cli_approve.socket, "gethostbyname", found)
    assert cli_approve.address_of("phone.local") == cli_approve.address_of("192.168.1.7") == "192.168.1.7"
    with pytest.raises(UsageError, match="not an IP address"):
        cli_approve.address_of("everyone")


async def test_a_server_without_lan_is_asked_in_clear_and_never_with_the_token(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        assert await run(tmp_path, "surfaces", f"--http-port={server.port}") == "held 192.168.1.7\n"
        with pytest.raises(EngineError, match="--lan"):
            await asyncio.to_thread(cli_approve.change, "approve", "10.0.0.1", tmp_path, server.port)
        assert server.gate.counters.requests == 1


async def test_what_is_only_shown_is_asked_of_a_server_with_lan_and_of_one_without(tmp_path: Path) -> None:
    """A certificate left by an earlier `serve --lan` does not keep `antiphon status` from a server on loopback."""
    for use_lan in (False, True, False):
        async with serving(tmp_path, use_lan) as server:
            told = await asyncio.to_thread(client.get_answer, "/api/status", tmp_path, server.port)
            assert told["blocks"] == 7
    with pytest.raises(EngineError, match="no server answers"):
        await asyncio.to_thread(client.get_answer, "/api/status", tmp_path, server.port)


@pytest.mark.parametrize("word", ["surfaces", "approve", "forget"])
async def test_nothing_is_sent_in_clear_to_what_speaks_no_tls(tmp_path: Path, word: str) -> None:
    """Another user's program on the port while no server runs: it refuses TLS and waits for what comes then."""
    certificate.load(tmp_path, ())
    token = load_token(tmp_path)
    heard = b""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard += await reader.read(4096)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n" + b'{"approved": "10.0.0.1"}   ')
        writer.close()

    stranger = await asyncio.start_server(take, "127.0.0.1", 0)
    port = stranger.sockets[0].getsockname()[1]
    method, path, data = (
        ("GET", "/api/surfaces", None) if word == "surfaces" else ("POST", f"/{word}", {"ip": "10.0.0.1"})
    )
    with pytest.raises(EngineError, match="nothing was sent"):
        await asyncio.to_thread(client.ask, method, path, tmp_path, port, data)
    assert token.encode() not in heard
    assert b"HTTP" not in heard
    stranger.close()


def test_what_a_server_lists_cannot_move_a_terminals_cursor() -> None:
    lines = cli_approve.listing({"held": ["\x1b[2J10.0.0.1\napproved 10.0.0.2"], "approved": []})
    assert lines == [r"held \x1b[2J10.0.0.1\napproved 10.0.0.2"]


async def test_a_stranger_on_the_port_gets_no_token(tmp_path: Path) -> None:
    """Another's HTTPS server, with another certificate, is told apart before anything is sent."""
    mine = tmp_path / "mine"
    certificate.load(mine, ())
    load_token(mine)
    async with serving(tmp_path / "theirs", use_lan=True) as theirs:
        with pytest.raises(EngineError, match="not this user's"):
            await asyncio.to_thread(cli_approve.change, "approve", "10.0.0.1", mine, theirs.port)
        assert theirs.gate.counters.requests == 0


async def test_the_page_s_address_for_a_phone_is_given_with_lan_and_the_token_alone(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        code, body, _ = await ask(server, "GET", "/api/phone")
        assert code == 409
        assert "start the server with --lan" in json.loads(body)["error"]
    async with serving(tmp_path, use_lan=True) as server:
        tls, token = trusting(tmp_path), load_token(tmp_path)
        assert (await ask(server, "GET", "/api/phone", tls=tls))[0] == 401
        assert (await ask(server, "GET", "/api/phone", tls=tls, Authorization="Bearer " + "0" * 32))[0] == 403
        server.hosts = frozenset({"127.0.0.1", "192.168.1.5"})
        code, body, _ = await ask(server, "GET", "/api/phone", tls=tls, Authorization=f"Bearer {token}")
        (found,) = json.loads(body)["addresses"]
        assert (code, found["host"]) == (200, "192.168.1.5")
        assert found["url"] == f"https://192.168.1.5:{server.port}/#token={token}"
        assert found["rows"] == qr_rows(found["url"])
        shown = (await run(tmp_path, "qr", f"--http-port={server.port}")).splitlines()
        assert shown[-1] == found["url"]
        assert len(shown) == 1 + -(-(len(found["rows"]) + 8) // 2)
        assert shown[2].startswith("    █▀▀▀▀▀█"), "a finder pattern, without colours where no terminal reads them"
