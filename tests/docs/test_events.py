"""docs/formats.md, files of events: its example plays, and what it says is allowed is what is."""

import re
from pathlib import Path

import pytest

from antiphon.doctor import software
from antiphon.kernel.engine.action_schedule import CAPACITY
from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph import patch
from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.plugins import loader
from antiphon.kernel.runtime import paths
from antiphon.kernel.session.commands import Beat, Sample
from antiphon.kernel.session.notes import Players
from antiphon.offline import event_file
from antiphon.offline.commands import convert_to_actions, param_finder
from antiphon.operations.rendering import MAX_EVENT_BYTES, RATE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "formats.md").read_text()


def test_the_example_is_taken_by_the_patch_it_names() -> None:
    catalog = loader.load(check=False).catalog
    graph = patch.load("keys", catalog, trusted=True).graph
    (example,) = re.findall(r"```jsonl\n(.*?)```", PAGE, re.DOTALL)
    lines = example.splitlines()
    find, players = param_finder(graph, catalog), Players(graph, catalog)
    commands = event_file.parse_events(lines, RATE, find, "song.jsonl", players)
    assert len(commands) == len(lines) == 8
    assert [c.when for c in commands[:4]] == [Sample(0), Sample(24_000), Sample(48_000), Beat(4.0)]
    ids, actions = convert_to_actions(graph, catalog, RATE, commands)
    assert ids["keys"] == 1
    assert len(actions) == len(commands)


def test_every_address_and_key_is_in_it() -> None:
    for address in re.findall(r"/[/a-zA-Z]+", " ".join(event_file._ADDRESSES)):
        assert f"`{address}`" in PAGE
    for key in event_file.FileEvent.__struct_fields__:
        assert f"| `{key}` |" in PAGE


def test_its_limits_are_those_there_are() -> None:
    for said in (
        f"{event_file.MAX_EVENTS:,} events",
        f"{event_file.MAX_LINE:,} characters",
        f"{MAX_EVENT_BYTES >> 20} MiB",
        f"0 to {event_file.MAX_SECONDS:.0f}",
        f"up to {event_file.MAX_RAMP:.0f} s",
        f"{MIN_TEMPO:g} to {MAX_TEMPO:g}",
        f"{CAPACITY:,} events in one block",
        f"is {RATE} Hz",
    ):
        assert said in PAGE


def test_the_page_of_files_says_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    for folder in (paths.config(), paths.data(), paths.cache(), paths.runtime()):
        assert folder.parent == tmp_path
        assert f"`{folder.name}`" in PAGE
    told = {finding.text.split(" (")[0] for finding in software.check_folders()}
    assert str(paths.config()) in told
    for folder in (paths.patches(), paths.sessions(), paths.recordings(), paths.library(), paths.plugins()):
        assert folder.parent == paths.data()
        assert f"`{folder.name}`" in PAGE
        assert str(folder) in told


def test_scenes_and_macros_of_the_patch_are_played_as_live() -> None:
    catalog = loader.load(check=False).catalog
    dub = patch.load("dub", catalog, trusted=True)
    find = param_finder(dub.graph, catalog)
    lines = [
        '{"beat": 0, "address": "/tempo", "args": [120]}',
        '{"beat": 4, "address": "/scene/recall", "args": [1, 8]}',
        '{"time": 9, "address": "/macro/send", "args": [0.5, 2]}',
    ]
    _, *scene, macro = event_file.parse_events(lines, RATE, find, "e.jsonl", None, dub)
    values = {key: value for key, value in dub.scenes[1].items() if "." in key}  # not its name
    assert {f"{one.node}.{one.param}": one.value for one in scene} == values
    assert {(one.when, one.ramp) for one in scene} == {(Beat(4.0), 4.0)}
    assert (macro.node, macro.param, macro.value, macro.ramp) == ("macro", "send", 0.5, 2.0)
    assert len(convert_to_actions(dub.graph, catalog, RATE, [*scene, macro])[1]) > len(scene)
    for wrong in ('"/scene/recall", "args": [99]', '"/macro/sned", "args": [1]'):
        with pytest.raises(UsageError):
            event_file.parse_events([f'{{"beat": 0, "address": {wrong}}}'], RATE, find, "e.jsonl", None, dub)
