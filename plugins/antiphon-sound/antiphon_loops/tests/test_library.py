"""A folder is analysed once; a broken file gives a sentence and costs nothing else."""

import contextlib
import json
import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from antiphon.api import PluginError
from antiphon.api.backends.files import library_folder, make_folder
from antiphon.offline.analyses import analyse_file
from antiphon_library.catalogue import Catalogue
from antiphon_loops.analysis.catalogued import loop_from_values
from antiphon_loops.library import analyse, ready, write_listing
from antiphon_loops.rules import Rules
from antiphon_loops.tests.conftest import CATALOGUE


def test_an_uncertain_tempo_leaves_a_loop_out_and_none_does_not():
    loops = [SimpleNamespace(tempo_sure=sure) for sure in (0.0, 0.1, 0.2)]
    assert list(map(Rules().leaves_out, loops)) == [False, True, False]


def test_a_changed_file_is_and_a_moved_or_touched_one_is_not(analysed: tuple[Path, Path], tmp_path: Path):
    first = tmp_path / "one.wav"
    first.write_bytes((analysed[0] / "a.wav").read_bytes())
    assert analyse(tmp_path).fresh == 1
    os.utime(first, (1, 1))
    (tmp_path / "deep").mkdir()
    first.rename(tmp_path / "deep" / "two.wav")
    moved = analyse(tmp_path)
    assert (moved.fresh, moved.loops[0].file) == (0, "deep/two.wav")
    (tmp_path / "deep" / "two.wav").write_bytes((analysed[0] / "c.wav").read_bytes())
    assert analyse(tmp_path).fresh == 1


def test_a_stop_costs_one_file(analysed: tuple[Path, Path], tmp_path: Path):
    for name in "abc":
        (tmp_path / f"{name}.wav").write_bytes((analysed[0] / f"{name}.wav").read_bytes())

    def stop(done: int, count: int, name: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyse(tmp_path, stop)
    assert analyse(tmp_path).fresh == 1


def test_a_damaged_catalogue_is_a_sentence_and_is_left_as_it_is(analysed: tuple[Path, Path], tmp_path: Path):
    (tmp_path / "a.wav").write_bytes((analysed[0] / "a.wav").read_bytes())
    catalogue = make_folder(library_folder()) / CATALOGUE
    catalogue.write_bytes(b"no database" * 1000)
    with pytest.raises(PluginError, match=r"it is damaged .* move it elsewhere"):
        ready(tmp_path)
    assert catalogue.read_bytes() == b"no database" * 1000


def test_the_catalogue_has_what_was_found_by_content_and_by_what_a_name_states(
    analysed: tuple[Path, Path], tmp_path: Path
):
    for name in ("a.wav", "a-52bpm.wav", "b.wav"):
        (tmp_path / name).write_bytes((analysed[0] / f"{name[0]}.wav").read_bytes())
    (tmp_path / "words.wav").write_text("not a sound")
    assert analyse(tmp_path).fresh == 3
    again = analyse(tmp_path)
    assert (again.fresh, [(x.file, x.tempo_from) for x in again.loops]) == (
        0,
        [("a-52bpm.wav", "name"), ("a.wav", "sound"), ("b.wav", "sound")],
    )
    with Catalogue(library_folder()) as catalogue:
        rows = {row.path: row for row in catalogue.rows()}
    a, bad = rows[os.fsencode(tmp_path / "a.wav")], rows[os.fsencode(tmp_path / "words.wav")]
    assert sorted(a.results) == ["fit", "fit name 52", "loop", "loop name 52"]
    found, said = (a.results[name][1] or {} for name in ("loop", "loop name 52"))
    assert found["loop_role"] == "drums"
    assert a.values["loop_bpm"] == found["loop_bpm"] != said["loop_bpm"], "one name of a sound is not its tempo"
    assert bad.problem in again.problems[0].replace("words.wav", str(tmp_path / "words.wav"))


def test_what_an_older_version_has_stored_is_used_and_a_persons_tempo_kept(library: Path, tmp_path: Path):
    (tmp_path / "e.wav").write_bytes((library / "e.wav").read_bytes())
    root = tmp_path / "root"
    analyse(tmp_path, root=root)
    with contextlib.closing(sqlite3.connect(root / "library.sqlite")) as base:
        ((data,),) = base.execute("SELECT data FROM results WHERE analysis = 'loop'").fetchall()
        base.execute("DELETE FROM results WHERE analysis != 'loop'")
        older = {
            name: value for name, value in json.loads(data).items() if name not in ("loop_confidence", "loop_ending")
        }
        base.execute("UPDATE results SET version = 3, data = ?", (json.dumps(older),))
        user = json.dumps({**older, "loop_tempo_from": "user", "loop_style": "of a person"})
        base.execute("INSERT INTO results SELECT sound, 'loop user', 3, ?, '' FROM results", (user,))
        base.commit()
    found = analyse(tmp_path, root=root)
    assert (found.fresh, found.loops[0].style, found.loops[0].confidence) == (0, "of a person", 0.0)
    with contextlib.closing(sqlite3.connect(root / "library.sqlite")) as base:
        stored = {name for (name,) in base.execute("SELECT analysis FROM results")}
    assert stored == {"loop", "loop user", "fit user"}
    assert len(found.loops[0].fit["fit"]) == 256


def test_the_catalogues_own_analysis_is_that_of_loops(library: Path, tmp_path: Path):
    values = analyse_file(os.fsencode(library / "e.wav"), ["loop"])["loop"][1]
    (tmp_path / "e.wav").write_bytes((library / "e.wav").read_bytes())
    (loop,) = analyse(tmp_path, root=tmp_path / "root").loops
    assert values is not None
    assert loop_from_values(values, "e.wav") == loop
    soundfile.write(tmp_path / "long.wav", np.zeros(8000 * 181, np.int16), 8000)
    _, values, problem = analyse_file(os.fsencode(tmp_path / "long.wav"), ["loop"])["loop"]
    assert problem == ""
    assert {value for value in (values or {}).values() if value is not None} == {
        "it is at least 181 s long, and 180 s is the most"
    }


def test_the_listing_has_what_was_asked_of_it(library: Path, tmp_path: Path):
    write_listing(analyse(library).loops, tmp_path / "out.json")
    rows = json.loads((tmp_path / "out.json").read_text())
    found = [dict(list(rows[n].items())[:5]) for n in (0, 3)]
    assert found[0] == {"file": "a.wav", "bpm": 104.0, "key": None, "bars": 2, "instrument": "drums"}
    assert found[1] == {"file": "d.wav", "bpm": 110.0, "key": "C major", "bars": 4, "instrument": "harmonic"}
