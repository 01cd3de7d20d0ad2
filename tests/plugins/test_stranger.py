"""A stranger's installed package does all that `library` does: a command, a route, an OSC address, a service."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from tests import forked
from tests.waiting import until

from antiphon_bench.rig import ServerProcess

PACKAGE = """
from antiphon.api import hookimpl


@hookimpl
def antiphon_services(register):
    register("shelf", "stranger.parts:Shelf", "Words that are kept.")

@hookimpl
def antiphon_commands(cli):
    from stranger.parts import application
    cli.add_command(application())

@hookimpl
def antiphon_routes(http):
    from stranger.routes import Shelves
    Shelves(http)

@hookimpl
def antiphon_addresses(osc):
    from stranger.parts import following, held
    osc.add("/stranger/held", "s:node [i:bars]", held, "Beats of the last bars of a node that are kept, as a file.")
    osc.add("/stranger/next", "[i:count] [s:word]…", following, "The words, later.")
"""
PARTS = '''
import asyncio
from pathlib import Path
import click
from antiphon.api.backends.transports import RequestError
from antiphon.api.backends.cli import Json, command_group, echo_answer, epilog, progress_bar
from antiphon.api.backends.files import library_folder, make_folder


class Shelf:
    def words(self):
        path = library_folder() / "shelf.txt"
        return path.read_text().split() if path.exists() else []


def application():
    app = command_group("shelf", "Words that are kept.", _root)

    @app.command(epilog=epilog("antiphon shelf put word"))
    def put(context: click.Context, words: list[str], as_json: Json = False):
        """Put words on the shelf."""
        with progress_bar("putting") as progress:
            progress(0, len(words), words[0])
        (make_folder(library_folder()) / "shelf.txt").write_text(" ".join([*Shelf().words(), *words]))
        echo_answer(as_json, {"put": len(words)}, [f"{len(words)} put"])

    return app


def _root():
    pass


async def following(request):
    count, *words = request.args or (1,)
    if "refused" in words:
        raise RequestError("there is no such word")
    await asyncio.sleep(0.2)
    request.reply("/stranger/next.reply", *words[:count], *(await asyncio.to_thread(Shelf().words)))


async def held(request):
    node, bars = (*request.args, 1)[:2]
    path = make_folder(library_folder()) / "held.wav"
    path.unlink(missing_ok=True)
    beats = await request.server.capture(path, node, bars)
    request.reply("/stranger/held.reply", beats, str(path))
'''
ROUTES = '''
import asyncio
from antiphon.api.backends.http import Refusal, Response, json_response, operation, record
from antiphon.api.backends.runtime import Request
from antiphon.api.backends.runtime import run_program
from antiphon.api.backends.analysis import service

Words = record("Words", words=list[str], asked=list[str])


class Put(Request):
    """Words to put."""

    words: list[str]


class Shelves:
    def __init__(self, http):
        self._http, self._job = http, None
        http.serve(self)
        http.counts["shelves"] = lambda: 1
        http.closing.append(self.close)

    async def close(self):
        if self._job is not None:
            self._job.cancel()

    @operation("GET", "/api/stranger/words", Words)
    async def words(self, request):
        """What is on the shelf, and what OSC says of it."""
        asked = await self._http.ask("/stranger/next", "/stranger/next.reply", 1, "first")
        shelf = await asyncio.to_thread(service, "shelf")
        return json_response({"words": shelf.words(), "asked": list(asked)})

    @operation("POST", "/api/stranger/words", Words, 202, body=Put, example={"body": {"words": ["a"]}})
    async def put(self, request, body):
        """Put words by a job of its own process."""
        if not body.words:
            raise Refusal(409, "there are no words")
        self._job = asyncio.create_task(run_program("antiphon", "shelf", "put", *body.words))
        return json_response({"words": [], "asked": []}, 202)

    @operation("GET", "/api/stranger/stream", bytes)
    async def stream(self, request):
        """Lines as they are made."""
        async def lines():
            for number in range(3):
                yield b"%d\\n" % number
                await asyncio.sleep(0.01)
        return Response(200, type="text/plain", pieces=lines())
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on the path, with the package as an installer leaves it."""
    site = tmp_path_factory.mktemp("site")
    for name, text in (("__init__", PACKAGE), ("parts", PARTS), ("routes", ROUTES)):
        (site / "stranger").mkdir(exist_ok=True)
        (site / "stranger" / f"{name}.py").write_text(text)
    info = site / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[antiphon]\nstranger = stranger\n")
    return site


@pytest.fixture(scope="module")
def environment(site: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> Iterator[tuple[ServerProcess, Path]]:
    home = tmp_path_factory.mktemp("home")
    options = ("--audio", "headless", "--patch", "through", "--synth", "null")
    with ServerProcess(*options, home=home, env=environment) as running:
        yield running, home


def asked(server: ServerProcess, home: Path, path: str, body: Any = None, token: bool = True) -> tuple[int, bytes]:
    """The status and the body of an answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http}{path}", None if body is None else json.dumps(body).encode()
    )
    if token:
        request.add_header("Authorization", f"Bearer {(home / 'config' / 'token').read_text().strip()}")
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except ConnectionError:
        return 0, b""  # the web process is started again: on a busy machine it stalls, as it imports


def test_its_command_has_help_examples_json_and_a_progress_bar(tmp_path: Path, environment: dict[str, str]) -> None:
    env = {**os.environ, **environment, "ANTIPHON_HOME": str(tmp_path)}

    def antiphon(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*forked.COMMAND, *words]
        return forked.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)

    assert json.loads(antiphon("shelf", "put", "a", "b", "--json").stdout) == {"put": 2}
    assert "Words that are kept." in antiphon("--help").stdout
    assert "antiphon shelf put word" in antiphon("shelf", "put", "--help").stdout
    assert antiphon("shelf", "throw").returncode == 2


def test_its_addresses_answer_later_and_synced_comes_behind(server: tuple[ServerProcess, Path]) -> None:
    running, _ = server
    assert running.ask("/stranger/next", 1, "one", "two") == ("/stranger/next.reply", ["one"])
    assert running.ask("/stranger/next", 1, "refused")[1] == ["/stranger/next", "there is no such word"]
    assert running.ask("/stranger/next", "x")[1] == ["/stranger/next", "count takes a whole number, not 'x'"]
    assert running.ask("/stranger/held", "nowhere")[1][0] == "/stranger/held"

    found: list[Any] = []

    def written() -> bool:
        address, found[:] = running.ask("/stranger/held", "out")
        return address == "/stranger/held.reply"

    until(written, 20.0, "a bar has sounded")
    beats, path = found
    assert (beats, soundfile.info(path).duration) == (4, pytest.approx(2.0, abs=0.01))


@pytest.mark.needs("library")
def test_its_operations_take_json_begin_a_job_ask_by_osc_and_are_in_the_document(
    server: tuple[ServerProcess, Path],
) -> None:
    running, home = server
    assert asked(running, home, "/api/stranger/words", {"words": ["a"]}, token=False)[0] == 401
    assert asked(running, home, "/api/stranger/words", {"word": ["a"]})[0] == 400
    assert asked(running, home, "/api/stranger/words", {"words": []})[0] == 409
    assert asked(running, home, "/api/stranger/words", {"words": ["x", "y"]})[0] == 202

    def words() -> Any:
        status, body = asked(running, home, "/api/stranger/words")
        return json.loads(body) if status == 200 else status

    until(lambda: words() == {"words": ["x", "y"], "asked": ["first", "x", "y"]}, 60.0, "the job is done")
    assert asked(running, home, "/api/stranger/stream") == (200, b"0\n1\n2\n")
    document = json.loads(asked(running, home, "/api/openapi.json")[1])
    assert document["paths"]["/api/stranger/words"]["post"]["summary"] == "Put words by a job of its own process."
    assert document["paths"]["/api/library/map"]
    assert running.status()["shelves"] == 1
