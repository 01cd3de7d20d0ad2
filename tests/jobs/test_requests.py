"""What clients ask for, as requests of a job's process."""

import contextlib
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests import accepted

from antiphon.jobs.job import Missing, Task
from antiphon.jobs.live_sets import live_sets
from antiphon.jobs.request import live_task, make_request, render_task, run_task
from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.file_use import NOTHING, FileUse
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT, EVENTS_IN, EVENTS_OUT
from antiphon.kernel.errors import AntiphonError, PatchError
from antiphon.kernel.plugins.loader import load
from antiphon.kernel.runtime import paths
from antiphon.web.api import types
from antiphon.web.operations import to_plain

ECHO = ProcessorInfo(
    "echo",
    "Repeats.",
    "p",
    (AUDIO_IN,),
    (AUDIO_OUT,),
    (
        Param("time", default=0.3, low=0.1, high=2.0, unit="s"),
        Param("taps", kind="int", default=1, low=1, high=8),
        Param("sync", kind="switch", default=False),
        Param("shape", kind="choice", default="soft", choices=("soft", "hard")),
        Param("learn", kind="trigger", default=False),
        Param("impulse", kind="file", default=""),
        Param("level", readonly=True),
    ),
)
NEEDY = ProcessorInfo(
    "needy",
    "Needs.",
    "p",
    (AUDIO_IN,),
    (AUDIO_OUT,),
    (Param("ref", kind="file", default=""),),
    on_files=FileUse(needs=("ref",)),
)
TOOL = ProcessorInfo(
    "tool",
    "Files.",
    "p",
    (AUDIO_IN,),
    (EVENTS_OUT,),
    (),
    on_files=FileUse("p:run", beside=("midi-out", "analysis", "picture")),
)
APART = ProcessorInfo(
    "apart", "Parts.", "p", (AUDIO_IN,), (AUDIO_OUT,), (), on_files=FileUse("p:run", splits=("high", "low"))
)
FOLDER = ProcessorInfo("folder", "Many.", "p", (), (AUDIO_OUT,), (), on_files=FileUse("p:run", default_source="loops"))
SCORE = ProcessorInfo("score", "Writes notes.", "p", (EVENTS_IN,), (EVENTS_OUT,), ())
PIECE = ProcessorInfo(
    "piece", "Writes.", "p", (EVENTS_IN,), (EVENTS_OUT,), (), on_files=FileUse("p:run", default_source=NOTHING)
)
CATALOG = Catalog({info.type: info for info in (APART, ECHO, NEEDY, SCORE, TOOL, FOLDER, PIECE)})
FILES: dict[str, Path] = {}


@pytest.fixture(scope="module", autouse=True)
def files(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("files")
    for key, name in (("aa", "aa.wav"), ("bb", "bb.mid")):
        FILES[key] = folder / name
        FILES[key].write_bytes(b"x")


def path_of(key: str) -> Path:
    if key not in FILES:
        raise Missing(f"there is no file {key!r}")
    return FILES[key]


def asked(plugin: str = "echo", **body: Any) -> Task:
    return run_task(CATALOG, plugin, {"file": "aa", **body}, path_of)


def test_run_with_parameters_is_a_request() -> None:
    params = {"time": 0.5, "taps": 2, "sync": True, "shape": "hard", "learn": 1.5}
    task = asked(params=params, format="flac", tail=2, rate=44100, limit=True)
    assert make_request(task, path_of("aa"), Path("/out")) == {
        "plugin": "echo", "paths": [str(FILES["aa"]), "/out/out.flac"], "param": [[*item] for item in params.items()],
        "tail": 2.0, "rate": 44100, "finish": {"limit": True}, "force": True,
    }  # fmt: skip


def test_render_name_like_an_option_stays_a_name() -> None:
    task = Task("render", "--out", "", ".wav", {}, {"force": True})
    assert make_request(task, None, Path("/out"))["patch"] == "--out"


def test_task_of_an_older_version_is_refused() -> None:
    old = Task.from_plain({**asked().plain(), "request": {}, "arguments": ["-p", "time=1"]})
    with pytest.raises(AntiphonError, match="another version"):
        make_request(old, path_of("aa"), Path("/out"))


def test_run_with_further_files_has_them_beside_the_sound() -> None:
    task = asked("tool", midi=True, analysis=True, picture=True)
    request = make_request(task, path_of("aa"), Path("/out"))
    assert task.suffix == ".wav"
    assert [request[name] for name in ("picture", "midi_out", "analysis")] == [
        "/out/picture.png",
        "/out/notes.mid",
        "/out/analysis.json",
    ]


def test_what_gives_notes_gives_midi() -> None:
    task = run_task(CATALOG, "score", {"file": "bb"}, path_of)
    assert task.suffix == asked("tool").suffix == ".mid"
    assert asked("tool", format="flac").suffix == ".flac"


def test_a_file_parameter_is_a_sent_file_or_a_name_in_the_library() -> None:
    assert asked(params={"impulse": {"file": "bb"}}).request["param"] == [["impulse", str(FILES["bb"])]]
    own = paths.library() / "room.wav"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"x")
    assert asked(params={"impulse": "room.wav"}).request["param"] == [["impulse", str(own)]]


@pytest.mark.needs("loops")
def test_what_is_not_allowed_is_a_sentence() -> None:
    def answer(request: str) -> str:
        name, body = eval(request, {"nan": nan})
        make = {"render": render_task, "live": live_task}.get(name.partition(" ")[0])
        if make is None:
            return accepted.refusal(lambda: asked(name, **body))
        return accepted.refusal(lambda: make(CATALOG, name.partition(" ")[2], body, path_of))

    accepted.compare(__file__, answer)


def test_the_only_choice_of_files_need_not_be_sent_and_another_is_refused() -> None:
    source = Param("source", kind="choice", default="saw", choices=("carrier", "saw"))
    info = replace(NEEDY, params=(source,), on_files=FileUse(needs=("source",)))
    catalog = Catalog({"needy": info})
    task = run_task(catalog, "needy", {"file": "aa"}, path_of)
    assert task.request["param"] == [["source", "saw"]]
    with pytest.raises(AntiphonError, match=r'nothing without "params": \{"source": "saw"'):
        run_task(catalog, "needy", {"file": "aa", "params": {"source": "carrier"}}, path_of)


def test_a_patch_is_rendered_for_a_time_or_over_a_file() -> None:
    common = {"patch": "bed", "out": "/o/out.wav", "finish": {}, "force": True}
    known = load(check=False).catalog
    task = render_task(known, "bed", {"seconds": 4}, path_of)
    assert make_request(task, None, Path("/o")) == {**common, "source": [], "seconds": 4.0}
    task = render_task(known, "bed", {"file": "aa"}, path_of)
    assert make_request(task, path_of("aa"), Path("/o")) == {**common, "source": [str(FILES["aa"])]}


def test_a_patch_that_cannot_be_read_is_refused_when_it_is_asked() -> None:
    with pytest.raises(PatchError, match=r"bed\.toml, line \d+, .*there is no processor type"):
        render_task(CATALOG, "bed", {"seconds": 4}, path_of)


def test_a_live_set_is_named_and_never_sent() -> None:
    shipped = live_sets()["bells"]
    assert shipped.line.startswith("A harp goes through slow chords")
    assert shipped.bars == 18
    task = live_task(CATALOG, "bells", {"midi": True}, path_of)
    request = make_request(task, None, Path("/o"))
    assert request["patch"] == str(shipped.path)
    assert [request[name] for name in ("bars", "midi", "source")] == [18.0, "/o/notes.mid", []]
    task = live_task(CATALOG, "bells", {"file": "aa", "bars": 2}, path_of)
    assert make_request(task, path_of("aa"), Path("/o"))["source"] == [str(FILES["aa"])]


def test_a_set_of_the_performer_hides_one_that_ships() -> None:
    own = paths.scripts() / "bells.py"
    own.parent.mkdir(parents=True)
    own.write_text('"""Mine."""\nfrom antiphon.live import *\n')
    task = live_task(CATALOG, "bells", {}, path_of)
    assert make_request(task, None, Path("/o"), own_scripts=True)["patch"] == str(own)
    with pytest.raises(AntiphonError, match="--live alone"):
        make_request(task, None, Path("/o"))
    assert to_plain(live_sets()["bells"], types.LiveSet) == {"name": "bells", "line": "Mine.", "bars": 16, "own": True}
    own.unlink()
    assert not live_sets()["bells"].own


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(body=JSON | st.dictionaries(st.sampled_from(["file", "params", "format", "midi", "tail"]), JSON, max_size=5))
def test_whatever_is_sent_is_a_task_or_a_sentence(body: Any) -> None:
    with contextlib.suppress(AntiphonError):
        task = run_task(CATALOG, "echo", body, path_of)
        assert Task.from_plain(task.plain()) == task


def test_stems_are_written_into_the_folder_of_the_results() -> None:
    request = make_request(asked("apart", stems=True), FILES["aa"], Path("/jobs/1"))
    assert (request["out_dir"], request["paths"]) == ("/jobs/1", [str(FILES["aa"])])
