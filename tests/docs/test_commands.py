"""Every command of the README, the docs and the plugins' cards does what it says, as it is written.

Each page is gone through from its first line to its last, in an empty home and a folder that holds what `GIVEN` names.
On a plugin's card one `antiphon run` is run, and the parameters of the others are looked at.
Lines that talk to a server (`antiphon osc`) talk to one real server, shared by all pages, with the patch that `PATCHES`
names for them. A command that the tables do not know fails.
"""

import glob
import json
import re
import shlex
import signal
import socket
from collections.abc import Callable, Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pythonosc.osc_message_builder import OscMessageBuilder
from tests import accepted
from tests.commands import COMMAND, PAGES, ROOT, blocks, inline, text, typed
from tests.datasets import trees
from tests.docs import results

from antiphon.cli.commands import application
from antiphon.files.scores.midi_song import MidiNote, MidiTrack
from antiphon.files.scores.midifile import write
from antiphon.kernel.contract import catalog as catalogs
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.plugins import loader
from antiphon.kernel.workers import devices
from antiphon.offline.file_job import read_settings
from antiphon.operations.plan import find_file
from antiphon.operations.requests import split_name_value
from antiphon.testing import sound as audio
from antiphon_bench.rig import ServerProcess

pytestmark = pytest.mark.slow

RATE = 48000
PATCHES, PARSED, ELSEWHERE = (
    dict(accepted.rows(Path(__file__).with_name(f"{name}.txt"))) for name in ("patches", "parsed", "elsewhere")
)
"""What `antiphon osc` is given in the docs, and the patch that plays then; commands whose options and values are
checked without running them, as each would take minutes, or what no test has; and those that are tried elsewhere."""
NEEDS_TORCH = {"antiphon render worker --in in.wav --out out.wav", "antiphon evaluate hum --system yin mine.wav"}
SESSION = "antiphon serve --patch demo --session tonight"
BARS = "--bars 2"
"""As many bars of a set as are played, whatever a line says: they have all its tracks."""


MARKED = 5
"""Blocks that say before them why no test types them. Each further one is one less that is known to work."""


def test_each_line_of_a_shell_block_is_typed_or_says_why_not() -> None:
    every = [(page, block) for page in PAGES for block in blocks(page) if block.lang in ("sh", "console")]
    assert sum(bool(block.not_run) for _, block in every) == MARKED
    left = [
        (page, line)
        for page, block in every
        if block.lang == "sh" and not block.not_run
        for line in block.lines
        if line.strip() and not COMMAND.match(line)
    ]
    assert left == []
    # the others are typed by tests/serve/test_api_examples.py
    assert {page for page, block in every if block.lang == "console" and not block.not_run} == {"docs/http.md"}


def test_every_page_with_commands_is_gone_through() -> None:
    known = {f"antiphon osc {line}" for line in PATCHES} | set(PARSED) | set(ELSEWHERE)
    lines = [line for page in PAGES for line in typed(page)]
    assert known <= set(lines), "the tables name commands that stand nowhere any more"
    assert len(lines) > 60


@cache
def known_commands() -> dict[str, Any]:
    """The command line's commands by name; read once for all pages."""
    group: Any = application()
    context = group.make_context("antiphon", [], resilient_parsing=True)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    found["serve"].make_context("serve", ["--help"], resilient_parsing=True)  # plugins add their options then
    return found


def test_commands_and_options_in_sentences_are_there() -> None:
    for page in PAGES:
        for line in inline(page):
            words = line.split()[1:]
            if not words or words[0].startswith("--"):
                continue
            found = known_commands().get(words[0])
            assert found is not None, line
            known = {opt for param in found.params for opt in param.opts} | {"--help"}
            # what stands in capitals is for the reader to replace
            if hasattr(found, "list_commands") and (below := [w for w in words[1:] if re.fullmatch("[a-z][a-z-]*", w)]):
                with found.make_context(words[0], [], resilient_parsing=True) as context:
                    found = found.get_command(context, below[0])
                assert found is not None, line
                known |= {opt for param in found.params for opt in param.opts}
            assert {w.partition("=")[0] for w in words if w.startswith("-") and not w[1:2].isdigit()} <= known, line


def test_what_make_is_asked_for_is_in_the_makefile() -> None:
    for page in PAGES:
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        named = {
            word for line in typed(page) if line.startswith("make ") for word in line.split()[1:] if "=" not in word
        }
        named |= set(re.findall(r"`make ([a-z-]+)[^`]*`", text(page)))
        assert named <= targets


# ---- what is there beforehand


def tune(path: Path) -> None:
    write(path, [MidiTrack("tune", tuple(MidiNote(float(n), 0.9, 60 + n % 5) for n in range(8)))])


def sound(path: Path, hertz: float = 220.0, seconds: float = 2.0) -> None:
    audio.write(path, audio.sung(hertz, seconds))


def loop(path: Path, hertz: float) -> None:
    """Two bars at 110 bpm, struck on each beat."""
    beat = RATE * 60 // 110
    strike = audio.sine(hertz, beat / RATE) * np.exp(-np.arange(beat) / 6000.0, dtype=np.float32)
    audio.write(path, np.tile(strike, 8))


def events(path: Path) -> None:
    (example,) = [block for block in blocks("docs/formats.md") if block.lang == "jsonl"]
    path.write_text("\n".join(example.lines) + "\n")


def script(path: Path) -> None:
    """The set that the tutorial's steps are, one below the other."""
    steps, _ = text("docs/live-coding.md").split("## Mini-notation")
    path.write_text("\n\n".join(re.findall(r"```python\n(.*?)```", steps, re.DOTALL)))


def notes_beside(path: Path) -> None:
    path.write_text("start,end,number\n0.5,2.0,57\n")


GIVEN: dict[str, Callable[[Path], None]] = {
    **dict.fromkeys(
        (
            "noisy.wav",
            "voice.wav",
            "song.wav",
            "in.wav",
            "mine.wav",
            "loop.wav",
            "piano.wav",
            "excerpt.wav",
            "song.mp3",
        ),
        sound,
    ),
    "strings.wav": lambda path: sound(path, 330.0),
    "other.wav": lambda path: sound(path, 330.0),
    "mic.wav": sound,
    "played.wav": lambda path: sound(path, 330.0),
    "takes/one.wav": sound,
    "more/two.flac": sound,
    "my-loops/drums.wav": lambda path: loop(path, 90.0),
    "my-loops/bass.wav": lambda path: loop(path, 55.0),
    "Music/night.flac": sound,
    "Music/day.flac": lambda path: sound(path, 330.0),
    "Music/dusk.flac": lambda path: sound(path, 440.0),
    "melody.mid": tune,
    "songs/other.mid": tune,
    "song.jsonl": events,
    "set.py": script,
    "program.js": lambda path: path.write_text('setcpm(30)\n$: s("bd*4, ~ cp").bank("tr909")\n'),
    "mine.csv": notes_beside,
    "GTZAN/genres": lambda path: trees.gtzan(path.parent),
    "Ballroom": trees.ballroom,
    "FMA/fma_small": lambda path: trees.fma(path.parent),
}
"""Files that a reader has. Those that a page's commands write themselves are not made for it."""


def furnish(folder: Path, lines: list[str]) -> None:
    """Makes what the lines name and do not write. A folder's files go by the folder's name."""
    for name, make in GIVEN.items():
        stem = Path(name).parts[0]
        named = [line for line in lines if re.search(rf"(^|[ =]){re.escape(stem)}($|[ /])", line)]
        beside = name == "mine.csv" and any("mine.wav" in line for line in lines)
        if beside or (named and not _writes(named[0], stem)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            make(folder / name)


def _writes(line: str, name: str) -> bool:
    """Whether it is what the command writes: OUT of `run` and `render`, or of --midi-out and --analysis."""
    words = line.split()
    at = words.index(name) if name in words else 0
    options = ("--out", "--midi-out", "--analysis", "--report", "--picture")
    alone = words[4].startswith("-") if len(words) > 4 else True
    out = words[1] == "run" and "--out-dir" not in words
    return at > 0 and (words[at - 1] in options or (out and at == (3 if alone else 4)))


# ---- the commands


class Shared(ServerProcess):
    """One server for all pages. patch: what it plays."""

    patch = "keys"

    def play(self, patch: str) -> None:
        if self.patch != patch:
            command(f"antiphon osc /patch/load {patch} 0 --timeout 60", self)
            self.patch = patch


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    home = tmp_path_factory.mktemp("served")
    for name, hertz in (("drums.wav", 90.0), ("bass.wav", 55.0)):
        (home / "data" / "library" / "loops").mkdir(parents=True, exist_ok=True)
        loop(home / "data" / "library" / "loops" / name, hertz)
    with Shared("--audio", "headless", "--patch", Shared.patch, home=home) as started:
        assert isinstance(started, Shared)
        yield started


def only_parsed(line: str) -> None:
    """Reads a line's options and values, and runs nothing."""
    _, *words = shlex.split(line)
    found, rest = known_commands()[words[0]], words[1:]
    if hasattr(found, "list_commands"):
        with found.make_context(words[0], [], resilient_parsing=True) as context:
            found, rest = found.get_command(context, rest[0]), rest[1:]
    found.make_context(words[0], rest)


def command(line: str, server: ServerProcess | None = None, dry: bool = False) -> None:
    """Runs a line as a shell would, in this process; the ports it does not name are the shared server's."""
    words = [found for word in shlex.split(line)[1:] for found in (sorted(glob.glob(word)) if "*" in word else [word])]
    ports: dict[str, Any] = {}
    if server is not None:
        ports = {name: {"http_port": server.http} for name in ("status", "surfaces")}
        ports["osc"] = {"osc_port": server.osc, "timeout": 60.0}  # of a busy machine
    if dry:
        only_parsed(line)
        return
    app = application(words)
    code: Any = app.main(args=words, prog_name="antiphon", standalone_mode=False, default_map=ports)
    assert not code, line


def talks(page: str) -> bool:
    """Whether its lines need the server of these tests. Such pages come last: it plays for as long as it runs."""
    return any(line.startswith("antiphon osc ") for line in typed(page))


@pytest.mark.parametrize("page", sorted((page for page in PAGES if typed(page)), key=talks))
def test_the_commands_of_a_page_work_as_written(
    page: str,
    tmp_path: Path,
    antiphon_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = typed(page)
    *_, last = "", *(line for line in lines if line.startswith("antiphon osc "))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LV2_PATH", str(folder))  # a machine may have hundreds, and each is tried
    furnish(folder, lines)
    for block in blocks(page):
        named = re.fullmatch(r"# (\w+\.toml)", block.lines[0]) if block.lang == "toml" else None
        if named is not None:
            (folder / named[1]).write_text("\n".join(block.lines) + "\n")
    ran: set[str] = set()
    for line in lines:
        if line in ELSEWHERE or line.startswith("make "):
            continue
        assert line.startswith("antiphon "), f"the test knows no way to try {line!r}: give it one"
        if line.replace('"', "") in NEEDS_TORCH and devices.installed_torch() is None:
            continue
        if line in PARSED:
            command(line, dry=True)
        elif line == SESSION:
            _keep(line, antiphon_home)
        elif line.startswith("antiphon serve"):
            pytest.fail(f"{line}: say in PARSED what tries it, or start it here")
        elif line.startswith("antiphon osc "):
            said = line.removeprefix("antiphon osc ")
            assert said in PATCHES, f"say in PATCHES which patch {line!r} is for"
            shared = request.getfixturevalue("server")
            shared.play(PATCHES[said])
            capsys.readouterr()
            command(line, shared)
            if said == "/patch/undo":
                assert capsys.readouterr().out == "/done /patch/undo /patch/load\n"
                shared.patch = "answer"
            elif len(said.split()) == 1 and not said.endswith("/learn"):  # it asks for a value; a trigger has none
                assert re.fullmatch(rf"{said} \S+\n", capsys.readouterr().out), line
            if said.startswith("/patch/load "):
                shared.patch = said.split()[1]
            if line == last:
                shared.play("through")  # what is typed below has the processor
        elif page.startswith("plugins/") and line.startswith("antiphon run ") and line.split()[2] in ran:
            _checked(line)
        else:
            ran.add(line.split()[2] if line.startswith("antiphon run ") else "")
            looked_at(re.sub(r"--bars \d+", BARS, line), folder, capsys)
            if line == "antiphon new-plugin wobble":
                _wobble(antiphon_home / "data" / "plugins")


def looked_at(line: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs a line, and looks at each file that it has written; a line that writes none prints something."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    capsys.readouterr()
    command(line)
    said = capsys.readouterr().out
    made = [path for path in folder.rglob("*") if path.is_file() and before.get(path) != path.stat().st_mtime_ns]
    assert made or said.strip(), f"{line} writes and prints nothing"
    for path in made:
        # a stem whose part plays nothing in this piece says so; a set on the software clock has no input
        stem = bool(re.search(rf"wrote (\S*/)?{re.escape(path.name)}:.*silent", said))
        results.look(path, silent=stem or line.startswith(("antiphon replay ", "antiphon export ")))
    results.look_at_lengths(line, folder)
    if "--json" in line.split() and not made:
        assert json.loads(said.strip().splitlines()[-1]) is not None, line


def _checked(line: str) -> None:
    """Another way to run what the card has run already: its options, files and parameters are looked at."""
    command(line, dry=True)
    words = line.split()
    given = [words[n + 1] for n, word in enumerate(words) if word == "-p"]
    read_settings(loader.load(check=False).catalog[words[2]], map(split_name_value, given), find_file)
    *sources, out = takewhile(lambda word: not word.startswith("-"), words[3:])
    assert all(Path(source).exists() for source in sources), line
    assert not Path(out).exists(), f"{line}: OUT is written by a line before it"


def _keep(line: str, home: Path) -> None:
    """Plays it for as long as something is heard, on the software clock, and ends it by Ctrl-C."""
    options = shlex.split(line)[2:]
    with ServerProcess(*options, "--audio", "headless", home=home, wait=60.0) as kept:
        before = kept.status()["blocks"]
        while kept.status()["blocks"] < before + 64:
            pass
        assert kept.process is not None
        kept.process.send_signal(signal.SIGINT)
        kept.process.wait(60)


def _wobble(folder: Path) -> None:
    """The tutorial's plugin, changed as the page says."""
    for name, body in re.findall(r"```python\n# (wobble/\S+)\n(.*?)```", text("docs/plugins.md"), re.DOTALL):
        assert (folder / name).is_file(), "the page changes what `antiphon new-plugin` wrote"
        (folder / name).write_text(body)


# ---- what other programs send


def send(server: Shared, address: str, *args: object) -> None:
    builder = OscMessageBuilder(address)
    for arg in args:
        builder.add_arg(arg)  # type: ignore[arg-type]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(builder.build().dgram, ("127.0.0.1", server.osc))
    server.sync()


def held(server: Shared, address: str, value: float) -> None:
    assert server.ask(address) == (address, [pytest.approx(value)])


def only(page: str, lang: str) -> str:
    (found,) = [block for block in blocks(page) if block.lang == lang]
    return "\n".join(found.lines)


def test_what_pages_send_by_other_programs_is_set(server: Shared) -> None:
    """oscformat takes a list of numbers; what begins with a word is a method that it does not have."""
    by_sclang = re.findall(r'(?:sendMsg\(|\[)"(/[^"]+)", (-?[\d.]+)[)\]]', only("README.md", "supercollider"))
    by_sonic_pi = re.findall(r'^ *osc "(/[^"]+)", ([\d.]+)$', only("docs/clients/sonic-pi.md", "ruby"), re.MULTILINE)
    pure_data = r"`\[([^\](]*)\(`\s→\s`\[oscformat ([^\]]*)\]`"
    by_pure_data = [("/" + "/".join(p.split()), n) for n, p in re.findall(pure_data, text("docs/clients/pure-data.md"))]
    for patch, said, count in (("answer", by_sclang, 3), ("throw", by_sonic_pi, 2), ("demo", by_pure_data, 1)):
        server.play(patch)
        assert len(said) == count
        for address, value in said:
            send(server, address, float(value) if "." in value else int(value))
            held(server, address, float(value))
    server.play("answer")
    *_, by_python = [block for block in blocks("docs/python.md") if block.lang == "python"]
    exec("\n".join(by_python.lines).replace("4400", str(server.osc)), {})
    server.sync()
    held(server, "/node/voice/gain", 0.6)


@pytest.fixture(scope="module")
def known() -> catalogs.Catalog:
    return loader.load(check=False).catalog


def test_the_quarks_methods_and_the_parameters_they_set_are_there(known: catalogs.Catalog) -> None:
    page = "docs/clients/supercollider.md"
    written = "\n".join("\n".join(block.lines) for block in blocks(page) if block.lang == "supercollider")
    classes = {
        path.stem: set(re.findall(r"^\t\*?(\w+) \{", path.read_text(), re.MULTILINE))
        | set(re.findall(r"(?:<>?|>)(\w+)", path.read_text()))
        for path in (ROOT / "supercollider").rglob("Classes/*.sc")
    }
    assert set(re.findall(r"\ba\.(\w+)", written)) <= classes["Antiphon"]
    assert set(re.findall(r"\bAntiphonJack\.(\w+)", written)) <= classes["AntiphonJack"]
    of_nodes = re.findall(r"\ba(?:\[\\\w+\]|\.node\(\\\w+\)|\.add\([^)]*\))\.(\w+)", written)
    assert set(of_nodes) <= classes["AntiphonNode"]
    found = re.findall(r"a(?:\.node\(|\[)\\(\w+)[)\]]\.(?:set|ramp|get)\(\\(\w+)", written)
    found += re.findall(r"\\antiphonSet, \\node, \\(\w+), (?:\\args, \[[^\]]*\], )?\\(\w+)", written)
    (patch,) = re.findall(r"antiphon serve --patch (\w+)\n\nand in sclang", text(page))
    nodes = {node.name: node.type for node in patches.load(patch, known).graph.nodes}
    of_types = [(nodes[node], name) for node, name in found]
    of_types += re.findall(r"a\.add\(\\(\w+)[^)]*\)\.set\(\\(\w+)", written)
    assert len(of_types) == 6
    for kind, name in of_types:
        assert name in {param.name for param in known[kind].cells}, f"{kind} has no {name}"


# ---- names of tests


def test_tests_that_are_named_are_there() -> None:
    for page in [*PAGES, "CHANGELOG.md"]:
        written = text(page)
        own = set(re.findall(r"def (test_\w+)", written)) | set(re.findall(r"# \w+/(?:tests/)?(test_\w+)\.py", written))
        every = _tests() | own
        for path, name in re.findall(r"(?<![\w/])((?:tests|plugins|models)/[\w/-]+\.py)(?:::(\w+))?", written):
            assert (ROOT / path).is_file() or (ROOT / "server" / "antiphon" / path).is_file(), path
            assert not name or name in (ROOT / path).read_text(), f"{path}::{name}"
        for name in re.findall(r"(?<![\w/])test_\w+(?!\.py)\b", written):
            assert name in every or list(ROOT.glob(f"**/tests/**/{name}.py")), name


def test_what_the_tables_name_is_there() -> None:
    for said in [*PARSED.values(), *ELSEWHERE.values()]:
        for path, name in re.findall(r"((?:tests|plugins|models)/[\w/-]+\.py)(?:::(\w+))?", said):
            assert (ROOT / path).is_file(), path
            assert not name or f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


@cache
def _tests() -> frozenset[str]:
    """Names of the files and functions that test; read once for all pages."""
    files = [path for folder in ("tests", "plugins") for path in (ROOT / folder).rglob("test_*.py")]
    functions = [name for path in files for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))]
    return frozenset([*(path.stem for path in files), *functions])
