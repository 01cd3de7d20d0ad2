"""Each operation of the HTTP API by the example in its OpenAPI document, played against one server.

What is looked at is the result: the status and the schema of the answer, and where sound or notes come out, their
length, rate and level.
"""

import http.client
import io
import json
import os
import re
import shutil
import subprocess
import urllib.parse
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import numpy as np
import pytest
import soundfile
from tests.commands import blocks
from tests.waiting import until
from tools.lists import OPERATIONS

from antiphon.cli.commands import application
from antiphon.testing import sound as audio
from antiphon.web import operations
from antiphon.web.api import jobs as examples, types
from antiphon.web.operations import Operation
from antiphon_bench.rig import ServerProcess
from antiphon_library import scanning
from antiphon_library.catalogue import Catalogue

pytestmark = pytest.mark.slow

RATE, SECONDS, HERTZ = 48000, 3.5, 220.0
ELSEWHERE = {
    "get_phone": (409, "--lan"),  # tests/web/test_lan.py has such a server
    # nothing was proposed here; tests/serve/test_mcp.py does
    "get_mcp_proposals_id": (404, "no proposal"),
    "get_mcp_proposals_id_picture": (404, "no proposal"),
    "post_mcp_land": (404, "no proposal"),
    "post_mcp_undo": (409, "nothing"),
    # a file of somebody else; plugins/antiphon-sound/antiphon_library/tests/test_commands.py has its own
    "post_library_similar": (400, "has no /music/night.flac"),
    "post_library_show": (400, "has no /music/night.flac"),
}
"""Operations that this server refuses: the status, and a word of the answer."""
LAST = ("get_live_script", "post_capture", "post_mcp_hear")
"""Operations that need a script that was run, or bars that sounded."""
TAIL = 10.0
"""Seconds, at most, in which a set's echoes die away."""


class Answered(NamedTuple):
    """An answer: its status, its media type and its body."""

    status: int
    type: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A client with the token, that knows which file was sent and which job is under way."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.token = next(server.home.rglob("token")).read_text().strip()
        self.ids = {examples.FILE: "", examples.JOB: ""}

    def ask(self, method: str, path: str, body: Any = None, kind: str = "") -> Answered:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.http, timeout=120)
        try:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            kind = kind or ("application/octet-stream" if isinstance(body, bytes) else "application/json")
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
            connection.request(method.upper(), path, data, headers)
            answer = connection.getresponse()
            return Answered(answer.status, answer.headers["Content-Type"] or "", answer.read())
        finally:
            connection.close()

    def real(self, text: str) -> str:
        """A text of an example with the identifiers that this server gave."""
        for shown, given in self.ids.items():
            text = text.replace(shown, given)
        return text

    def play(self, operation: Operation) -> Answered:
        """Sends an operation's example."""
        example = operation.example
        path = self.real(operation.path.format(**example))
        if operation.query is not None and not operation.lines:
            fields = operation.query.__struct_fields__
            path += "?" + urllib.parse.urlencode({name: example[name] for name in fields})
        sound = operation.upload and operation.body is None
        body = take() if sound else json.loads(self.real(json.dumps(example.get("body"))))
        return self.ask(operation.method, path, body)

    def send(self, name: str, content: bytes) -> str:
        answered = self.ask("post", f"/api/files?name={name}", content)
        assert answered.status == 201, answered
        return str(answered.json["id"])

    def done(self, key: str) -> dict[str, Any]:
        """The job, once it is done."""
        until(lambda: self.ask("get", f"/api/jobs/{key}").json["state"] in ("done", "failed"), 60.0, "the job is done")
        job: dict[str, Any] = self.ask("get", f"/api/jobs/{key}").json
        assert (job["state"], job["error"]) == ("done", ""), job
        return job

    def result(self, key: str, name: str = "") -> bytes:
        answered = self.ask("get", f"/api/jobs/{key}/result/{name}".removesuffix("/"))
        assert answered.status == 200, answered
        return answered.body


def take() -> bytes:
    """A sound in stereo."""
    made = audio.sung(HERTZ, SECONDS, 2)
    file = io.BytesIO()
    soundfile.write(file, made.T, RATE, format="WAV", subtype="PCM_24")
    return file.getvalue()


def heard(content: bytes) -> tuple[float, int, str, float]:
    """A sound's length in seconds, rate, format and level."""
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    kind = soundfile.info(io.BytesIO(content)).format.removesuffix("EX")
    return len(samples) / rate, rate, kind, audio.level(samples.T)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("served")
    music = home / "music"
    music.mkdir()
    rng = np.random.default_rng(1)
    for n in range(6):
        with soundfile.SoundFile(music / f"{n}.wav", "w", 8000, 1) as file:
            file.title, file.artist, file.genre = f"Tone {n}", ("Sine", "Saw")[n % 2], ("Soft", "Hard")[n % 2]
            file.write(audio.sine(200.0 + 40.0 * n, 25.0, 8000)[0])
    with Catalogue(home / "data" / "library") as catalogue:
        scanning.add(catalogue, [music], lambda *_: None)
        for n, (digest, *_) in enumerate(catalogue.sounds()):
            vector = (3.0 * np.eye(3)[n % 2] + rng.normal(0.0, 0.3, 3)).tolist()
            catalogue.put_results(digest, {"tags": (3, {"tag_embedding": vector}, "")})
    (home / "data" / "recordings").mkdir(parents=True)
    (home / "data" / "recordings" / "set.wav").write_bytes(take())
    with ServerProcess("--audio", "headless", "--live", "--patch", "band", home=home, wait=120.0) as server:
        yield Client(server)


def conforms(document: dict[str, Any], schema: dict[str, Any], data: Any) -> None:
    jsonschema_rs.validate({**schema, "components": document["components"]}, data)


def promised(operation: Operation) -> tuple[float, float, int, str]:
    """Of what an operation's job writes: the least and the greatest length in seconds, rate, and format."""
    body = operation.example.get("body")
    kind = body.get("format", "wav").upper()
    match operation.id:
        case "post_run_plugin":
            return SECONDS, SECONDS, RATE, kind
        case "post_render_patch":
            return body["seconds"], body["seconds"], RATE, kind
        case "post_live_sets_name_render":
            script = Path("patches/live", operation.example["name"] + ".py").read_text()
            (bpm,) = re.findall(r"^tempo\((\d+)\)", script, re.MULTILINE)
            bars = body["bars"] * 4 * 60.0 / float(bpm)
            return bars, bars + TAIL, RATE, kind
    raise AssertionError(f"say what {operation.id} promises")


def test_every_example_works(client: Client) -> None:
    document = json.loads(client.ask("get", "/api/openapi.json").body)
    played = []
    # what removes comes last, and what is done to a file or a job after it is there
    order = sorted(OPERATIONS, key=lambda one: (one.method == "DELETE", one.id in LAST))
    for operation in order:
        answered = client.play(operation)
        if operation.id in ELSEWHERE:
            status, word = ELSEWHERE[operation.id]
            assert answered.status == status, answered
            assert word in answered.json["error"]
            continue
        said = f"{operation.id}: {answered.status} {answered.body[:300]!r}"
        assert answered.status == operation.status, said
        if "surfaces" in operation.path and operation.answers is bytes:
            assert zlib.decompress(answered.body).startswith(b"<?xml"), said
        elif operation.answers is bytes:
            seconds, _, _, level = heard(answered.body)
            if "examples" not in operation.path:  # those that ship are as long as they are
                assert seconds == (20.0 if "tracks" in operation.path else SECONDS), said
            assert level > -40.0, said
        elif operation.answers is not None:
            conforms(document, operations.schema_of(operation.answers), answered.json)
        else:
            assert not answered.body, said
        if operation.answers is types.Overview:
            assert answered.json["seconds"] == SECONDS
            assert max(answered.json["peaks"]) > 0.1
        elif operation.answers is types.Captured:
            assert heard(Path(answered.json["path"]).read_bytes())[:2] == (2.0, RATE), said
        elif operation.answers is types.File and operation.method == "POST":
            client.ids[examples.FILE] = answered.json["id"]
        elif operation.answers is types.Job and operation.status == 202:
            key = answered.json["id"]
            client.done(key)
            if not operation.example.get("body"):
                played.append(operation.id)
                continue
            length, rate, kind, level = heard(client.result(key))
            least, most, *form = promised(operation)
            assert [rate, kind] == form, said
            assert least - 0.001 < length < most + 0.001, f"{length} s, {said}"
            assert level > -50.0, said
            client.ids[examples.JOB] = client.ids[examples.JOB] or key
        played.append(operation.id)
    assert len(played) == len(OPERATIONS) - len(ELSEWHERE)


def test_what_examples_change_is_changed(client: Client) -> None:
    """What an answer without a body, or a bare yes, says nothing of."""
    by_id = {operation.id: operation for operation in OPERATIONS}
    body = by_id["post_osc"].example["body"]
    client.ask("post", "/api/osc", {**body, "args": [0.25]})
    assert client.server.ask(body["address"])[1] == [0.25]
    client.play(by_id["post_osc"])
    assert client.server.ask(body["address"])[1] == pytest.approx(body["args"])
    run = {**by_id["post_live_eval"].example["body"], "version": 2}
    assert client.ask("post", "/api/live/eval", run).status == 202
    until(lambda: client.ask("get", "/api/live").json.get("version") == 2, 20.0, "the script plays")
    state = client.ask("get", "/api/live").json
    assert (state["version"], state["fault"], state["silent"]) == (2, None, False)
    client.ask("post", "/api/live/stop", {})
    until(lambda: not client.ask("get", "/api/live").json["playing"], 20.0, "it has ended")


def test_a_result_is_what_the_command_gives(client: Client, tmp_path: Path) -> None:
    (tmp_path / "take.wav").write_bytes(take())
    words = ["run", "delay", str(tmp_path / "take.wav"), str(tmp_path / "out.wav"), "-p", "time=0.1", "--rate", "32000"]
    application(words).main(args=words, prog_name="antiphon", standalone_mode=False)
    body = {"file": client.send("take.wav", take()), "params": {"time": 0.1}, "rate": 32000}
    job = client.done(client.ask("post", "/api/run/delay", body).json["id"])
    assert job["summary"].startswith("wrote out.wav")
    assert "take.wav" in job["summary"]
    assert client.result(job["id"]) == (tmp_path / "out.wav").read_bytes()
    assert heard(client.result(job["id"]))[1] == 32000


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"address": "/node/nosuch/wet", "args": [0.5]}, 404, "there is no node 'nosuch'"),
        ({"address": "/node/echo/nosuch", "args": [0.5]}, 422, "echo has no parameter 'nosuch'"),
        ({"address": "/nosuch"}, 404, "no such address"),
        ({"address": "/node/echo/feedback", "args": ["loud"]}, 422, "feedback"),
        ({"address": "/patch/load", "args": []}, 422, "/patch/load"),
        ({"address": "/node/*/feedback", "args": ["loud"]}, 422, "/node/echo/feedback: "),
        ({"address": "/at", "args": [8.0, "/nosuch", 1]}, 404, "/nosuch: there is no such address"),
        ({"address": "/at", "args": [8.0, "/live/eval", "x", "y"]}, 422, "takes effect at no beat"),
    ],
)
def test_a_message_that_is_refused_says_so(client: Client, body: dict[str, Any], status: int, sentence: str) -> None:
    answered = client.ask("post", "/api/osc", body)
    assert answered.status == status, answered
    assert sentence in answered.json["error"]


def halved(value: Any) -> Any:
    """A body with half of a character in place of each text."""
    if isinstance(value, dict):
        return {name: halved(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [halved(inner) for inner in value]
    return "a\ud800" if isinstance(value, str) else value


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if "body" in one.example], ids=lambda one: one.id)
def test_half_a_character_is_a_refusal(client: Client, operation: Operation) -> None:
    path = client.real(operation.path.format(**operation.example))
    body = halved(operation.example["body"])
    named = {**body, "a\ud800": 1} if isinstance(body, dict) else [body, "\ud800"]
    raw = json.dumps(named, ensure_ascii=False).encode("utf-8", "surrogatepass")
    for sent in (json.dumps(named).encode(), raw):
        answered = client.ask(operation.method, path, sent, "application/json")
        assert 400 <= answered.status < 500, answered
        assert "half of a character" in answered.json["error"] or raw is sent


def form(*parts: tuple[str, bytes]) -> bytes:
    """A form as curl sends it: parts with their Content-Disposition."""
    made = b"".join(b"--line\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (d.encode(), b) for d, b in parts)
    return made + b"--line--\r\n"


def test_a_file_in_a_form(client: Client) -> None:
    """What `curl -F file=@take.wav` sends, with another field before it."""
    body = form(('name="note"', b"first try"), ('name="file"; filename="take.wav"', take()))
    kind = "multipart/form-data; boundary=line"
    answered = client.ask("post", "/api/files", body, kind)
    assert answered.status == 201, answered
    assert answered.json["name"] == "take.wav"
    assert client.ask("get", f"/api/files/{answered.json['id']}/content").body == take()
    for wrong, sentence in (
        (form(('name="note"', b"x")), "-F file=@take.wav"),
        (body[:-2000], "ends before"),
        (b"no form", "not the form"),
    ):
        refused = client.ask("post", "/api/files", wrong, kind)
        assert refused.status == 400
        assert sentence in refused.json["error"]


def test_what_is_no_sound_is_refused_as_it_comes(client: Client) -> None:
    before = client.ask("get", "/api/files").json
    for name, content in (
        ("x.mp3", b"abc"),
        ("x.wav", b"RIFF but no sound"),
        ("x.mid", b"MThd"),
        ("x.mp3", b"\xff\xfbx"),
    ):
        answered = client.ask("post", f"/api/files?name={name}", content)
        assert answered.status == 422, answered
        assert name in answered.json["error"]
        assert ".part" not in answered.json["error"]
        assert str(client.server.home) not in answered.json["error"]
    assert client.ask("get", "/api/files").json == before


def test_the_pages_lines_work_as_they_are_typed(client: Client, tmp_path: Path) -> None:
    """The blocks of docs/http.md, by a shell: identifiers are those that were answered, keys those that are shown."""
    home = tmp_path / "home" / ".config" / "antiphon"
    home.mkdir(parents=True)
    (home / "token").write_text(client.token)
    (tmp_path / "take.wav").write_bytes(take())
    shutil.copy(client.server.home / "music" / "0.wav", tmp_path / "song.mp3")  # by its bytes, whatever its name
    typed = [block for block in blocks("docs/http.md") if block.lang == "console" and not block.not_run]
    assert len(typed) == 2
    lines = "\n".join(line for block in typed for line in block.lines).replace("\\\n", "")
    auth, *asked = re.findall(r"^\$ (.*)\n((?:\{.*\n?)?)", lines, re.MULTILINE)
    ids: dict[str, str] = {}
    for command, shown in asked:
        for given, real in ids.items():
            command = command.replace(given, real)
        if "/result" in command:
            client.done(ids[examples.JOB])
        script = f"{auth[0]}\n{command}".replace("127.0.0.1:4401", f"127.0.0.1:{client.server.http}")
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=os.environ | {"HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stderr)
        if shown:
            answered = json.loads(done.stdout)
            assert set(re.findall(r'"(\w+)": ', shown.partition("labels")[0])) <= set(answered), command
            if "id" in answered:
                ids[re.findall(r'"id": "(\w+)"', shown)[0]] = answered["id"]
    seconds, _, kind, level = heard((tmp_path / "out.flac").read_bytes())
    assert (seconds, kind, level > -50.0) == (SECONDS, "FLAC", True)
