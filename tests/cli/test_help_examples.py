"""The examples at the end of each command's help, typed as they are: what they make is looked at."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.docs.test_commands import furnish, looked_at, only_parsed

from antiphon.cli.commands import application
from antiphon_bench.rig import ServerProcess

BEFORE = {
    "antiphon library similar Music/night.flac -n 5": "antiphon library analyse",
}
"""What has to be typed first, besides the examples above it."""
ELSEWHERE = {
    "antiphon serve --patch answer": "opens the sound card; the next line starts the server of these tests",
    "antiphon play melody.mid": "opens the sound card; tests/cli/test_play.py",
    "antiphon play --patch techno": "the same",
    "antiphon live set.py": "tests/serve/test_live.py",
    "antiphon eval set.py": "the same",
    "antiphon mcp": "tests/serve/test_mcp.py has a session over stdio",
    "antiphon mcp --http --listen-port 4403": "plugins/antiphon_mcp/tests/test_tools.py asks for the token",
    "antiphon replay tonight again.wav": "tests/docs/test_commands.py records and replays one",
    "antiphon monitor": "until Ctrl-C; tests/cli/test_osc_cli.py",
    "antiphon monitor --events": "the same",
    "antiphon repl": "tests/cli/test_repl.py has a terminal",
    "antiphon page": "opens a browser; the next line does not",
    "antiphon page --no-open": "tests/serve/test_code.py",
    "antiphon devices": "tests/hostile/test_devices.py",
    "antiphon doctor": "tests/doctor/test_doctor.py",
    "antiphon bench engine --seconds 10": "tests/bench",
    "antiphon library personality": "asks; plugins/antiphon_library/tests/test_commands.py",
    "antiphon qr": "needs --lan; tests/serve/test_lan.py",
    "antiphon library fits bass.wav -n 5": "needs loops; plugins/antiphon_loops/tests/test_fit.py",
    "antiphon library fits --live": "tests/serve/test_capture.py",
    "antiphon library map --png map.png": "needs more tracks; plugins/antiphon_library/tests/test_commands.py",
    "antiphon library learn playlists": "needs playlists; plugins/antiphon_library/tests/test_commands.py",
    "antiphon approve 192.0.2.7": "needs --lan; tests/serve/test_lan.py",
    "antiphon forget 192.0.2.7": "the same",
    'antiphon dataset fetch freesound "rain on leaves" rain --longest 20': "tests/datasets/test_freesound.py",
    "antiphon pipeline run pipeline.toml": "needs the extra pipeline; tests/pipeline/test_shards.py",
    "antiphon pipeline watch watch.toml": "tests/pipeline/test_watch_command.py",
    "antiphon train denoise --minutes 110": "tests/models/test_loop.py",
    "antiphon train notes my-notes --out mine": "plugins/antiphon_latent/tests/test_latent.py",
    "antiphon evaluate hum mine.wav": "models/antiphon_models/hum/tests",
}
"""Examples that are checked without running them, and what tests them."""


def commands() -> Iterator[tuple[str, str]]:
    """Each command by its words, and its help page."""
    group: Any = typer.main.get_command(application())

    def below(command: Any, words: list[str], parent: Any) -> Iterator[tuple[str, str]]:
        context = command.make_context(words[-1], [], parent=parent, resilient_parsing=True)
        if hasattr(command, "list_commands"):
            for name in command.list_commands(context):
                yield from below(command.get_command(context, name), [*words, name], context)
        else:
            yield " ".join(words[1:]), command.get_help(context)

    return below(group, ["antiphon"], None)


@cache
def examples() -> dict[str, list[str]]:
    """The examples of each command; a process that only collects tests does not build all help pages."""
    return {
        name: re.findall(r"^ +(antiphon .*)$", page.partition("Examples:")[2], re.MULTILINE)
        for name, page in commands()
    }


APPLICATION: Any = typer.main.get_command(application())
GROUPS = sorted(APPLICATION.list_commands(APPLICATION.make_context("antiphon", [], resilient_parsing=True)))
TALK = ("osc", "status", "surfaces")
"""Groups whose examples talk to a server."""


def test_each_command_has_an_example_of_its_own() -> None:
    assert [name for name, lines in examples().items() if not lines] == []
    wrong = [line for name, lines in examples().items() for line in lines if not line.startswith(f"antiphon {name}")]
    assert wrong == []
    assert set(ELSEWHERE) | set(BEFORE) <= {line for lines in examples().values() for line in lines}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Started by the example that needs no sound card."""
    (line,) = [line for line in examples()["serve"] if line not in ELSEWHERE]
    with ServerProcess(*shlex.split(line)[2:], home=tmp_path_factory.mktemp("served")) as started:
        yield started


# those that need the server come last: it plays for as long as it runs
@pytest.mark.parametrize("group", sorted((name for name in GROUPS if name != "serve"), key=TALK.__contains__))
def test_examples_do_what_they_say(
    group: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    lines = [line for name, lines in examples().items() if name.split()[0] == group for line in lines]
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    furnish(folder, lines)
    shared = None
    if group in TALK:
        shared = request.getfixturevalue("server")
        monkeypatch.setenv("ANTIPHON_HOME", str(shared.home))
    for line in lines:
        if line in ELSEWHERE:
            only_parsed(line)
            continue
        if line in BEFORE:
            looked_at(BEFORE[line], folder, capsys)
        looked_at(line, folder, capsys, shared)
