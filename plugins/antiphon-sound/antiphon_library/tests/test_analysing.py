"""Analyses of plugins: fed block by block, checked, repeated for a new version; one that fails is a reason."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.each import each

from antiphon.kernel.errors import PluginError
from antiphon.offline import analyses as registered
from antiphon.offline.analyses import analyse_file, named_analyses
from antiphon.signal.analysis import Analysis, AnalysisRun, Quantity, check_quantities, plain_result
from antiphon_library import analysing, scanning
from antiphon_library.catalogue import Catalogue
from antiphon_library.tests.conftest import RATE, MakeFile


class Counting(Analysis):
    """States what it was fed."""

    quantities = (Quantity("frames", "number"), Quantity("mean", "number"))

    def begin(self, rate: int, channels: int) -> AnalysisRun:
        return CountingRun()


class CountingRun(AnalysisRun):
    def __init__(self) -> None:
        self.frames, self.sum, self.blocks = 0, 0.0, 0

    def feed(self, block) -> None:
        assert block.dtype == np.float32
        assert block.ndim == 2
        self.frames += block.shape[1]
        self.sum += float(block.sum())
        self.blocks += 1

    def result(self) -> Mapping[str, Any]:
        return {"frames": self.frames, "mean": self.sum / self.frames}


class AtHalf(Counting):
    quantities = (Quantity("half", "number"), Quantity("its mean", "number"))
    rate, channels = RATE // 2, 1

    def begin(self, rate: int, channels: int) -> AnalysisRun:
        assert (rate, channels) == (RATE // 2, 1)
        return HalfRun()


class HalfRun(CountingRun):
    def feed(self, block) -> None:
        assert block.shape[0] == 1
        super().feed(block)

    def result(self) -> Mapping[str, Any]:
        return {"half": self.frames, "its mean": self.sum / self.frames}


class Failing(Counting):
    quantities = (Quantity("nothing", "number"),)

    def begin(self, rate: int, channels: int) -> AnalysisRun:
        raise ZeroDivisionError("no reason")


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> dict[str, Analysis]:
    given: dict[str, Analysis] = {"counting": Counting()}
    monkeypatch.setattr(registered, "analyses", lambda: given)
    monkeypatch.setattr(analysing, "analyses", lambda: given)
    return given


def silent(done: int, total: int, name: str) -> None:
    assert done >= 0


def test_blocks_reach_each_analysis_at_its_rate_and_channels(tmp_path: Path, present) -> None:
    present["half"] = AtHalf()
    sound = np.stack([np.full(RATE * 4, 0.25), np.full(RATE * 4, 0.75)], axis=1)
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    results = analyse_file(bytes(tmp_path / "a.wav"), ["counting", "half"])
    assert results["counting"] == (1, {"frames": 4 * RATE, "mean": 1.0}, "")
    assert results["half"][1]["half"] == 2 * RATE
    assert results["half"][1]["its mean"] == pytest.approx(0.5, abs=1e-3)


def test_one_that_raises_has_a_reason_and_the_others_their_results(
    make: MakeFile, music: Path, tmp_path, present
) -> None:
    present["failing"] = Failing()
    make("a.wav")
    with Catalogue(tmp_path / "root") as catalogue:
        scanning.add(catalogue, [music], silent)
        counts = analysing.analyse(catalogue, list(present), [], silent)
        assert counts.analysed == 1
        ((_, problem),) = counts.problems
        assert problem == "the analysis 'failing' failed: ZeroDivisionError: no reason"
        (row,) = catalogue.rows()
        assert row.results["counting"][1] is not None
        assert row.results["failing"] == (1, None, problem)
        assert analysing.analyse(catalogue, list(present), [], silent).known == 1, "it is not tried at each call"


def test_a_new_version_is_computed_again_and_nothing_else(make: MakeFile, music: Path, tmp_path, present) -> None:
    make("a.wav")
    make("b.wav", 220.0)
    with Catalogue(tmp_path / "root") as catalogue:
        scanning.add(catalogue, [music], silent)
        first = analysing.analyse(catalogue, ["counting"], [], silent)
        again = analysing.analyse(catalogue, ["counting"], [], silent)
        assert (first.analysed, first.known, again.analysed, again.known) == (2, 0, 0, 2)
        present["counting"].__class__.version = 2
        try:
            assert analysing.analyse(catalogue, ["counting"], [music / "a.wav"], silent).analysed == 1
            assert analysing.analyse(catalogue, ["counting"], [], silent).analysed == 1
        finally:
            Counting.version = 1


def test_copies_are_analysed_once(make: MakeFile, music: Path, tmp_path: Path, present) -> None:
    make("a.wav")
    make("b.wav")
    with Catalogue(tmp_path / "root") as catalogue:
        scanning.add(catalogue, [music], silent)
        assert analysing.analyse(catalogue, ["counting"], [], silent).analysed == 1
        assert [row.values["frames"] for row in catalogue.rows()] == [6615.0, 6615.0]


OTHER = """
import sys
from pathlib import Path
from antiphon_library.catalogue import Catalogue
from antiphon.files.own_files import Claims

claims, digest = Claims(Path("library.claims")), sys.argv[1]
assert claims.take(int(digest[:15], 16))
print("claimed", flush=True)
sys.stdin.readline()
with Catalogue(Path(".")) as catalogue:
    catalogue.put_results(digest, {"counting": (1, {"frames": 7.0, "mean": 0.0}, "")})
"""


@pytest.mark.parametrize("ends", ["done", "killed"])
def test_what_another_process_analyses_is_not_done_twice(
    make: MakeFile, music: Path, tmp_path: Path, present, ends: str
) -> None:
    make("a.wav")
    make("b.wav", 220.0)
    root = tmp_path / "root"
    with Catalogue(root) as catalogue:
        scanning.add(catalogue, [music], silent)
        digest = catalogue.sounds()[0][0]
        other = subprocess.Popen(
            [sys.executable, "-c", OTHER, digest], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert other.stdin is not None
        assert other.stdout is not None
        try:
            assert other.stdout.readline() == "claimed\n"
            waited: list[str] = []

            def end_it(done: int, total: int, name: str) -> None:
                if "another `antiphon library analyse`" in name and not waited:
                    waited.append(name)
                    other.communicate("go on\n") if ends == "done" else other.kill()

            counts = analysing.analyse(catalogue, ["counting"], [], end_it)
        finally:
            other.kill()
            other.communicate()
        assert len(waited) == 1
        assert (counts.analysed, counts.shared) == ((1, 1) if ends == "done" else (2, 0))
        frames = [row.values["frames"] for row in catalogue.rows()]
        assert frames == [7.0 if ends == "done" else 6615.0, 6615.0]


def test_a_file_that_is_gone_stays_pending(make: MakeFile, music: Path, tmp_path: Path, present) -> None:
    path = make("a.wav")
    with Catalogue(tmp_path / "root") as catalogue:
        scanning.add(catalogue, [music], silent)
        held = path.read_bytes()
        path.unlink()
        counts = analysing.analyse(catalogue, ["counting"], [], silent)
        assert (counts.analysed, len(counts.problems)) == (0, 1)
        assert "there is no such file" in counts.problems[0][1]
        path.write_bytes(held)
        assert analysing.analyse(catalogue, ["counting"], [], silent).analysed == 1


def test_what_is_no_analysis_is_refused() -> None:
    with pytest.raises(PluginError, match="gave str, not an Analysis"):
        check_quantities("x", "text")
    twice = type("Twice", (Counting,), {"quantities": (Quantity("a", "number"), Quantity("a", "text"))})
    with pytest.raises(PluginError, match="each quantity once"):
        check_quantities("x", twice())
    wrong = type("Wrong", (Counting,), {"quantities": (Quantity("a", "picture"),)})  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="there are: number, text, times, spans, vector"):
        check_quantities("x", wrong())


@each(
    "kind, good, plain, bad",
    [
        ("number", np.float32(0.5), 0.5, np.nan),
        ("text", "C major", "C major", None),
        ("times", np.array([0.5, 1.0]), [0.5, 1.0], [1.0, "x"]),
        ("spans", [(0, 1, "A")], [[0.0, 1.0, "A"]], [(0, 1)]),
        ("vector", (1, 2), [1.0, 2.0], [np.inf]),
        ("numbers", (1, None, 2), [1.0, None, 2.0], ["x"]),
    ],
)
def test_results_are_checked_by_their_kind(kind, good, plain, bad) -> None:
    analysis = type("One", (Counting,), {"quantities": (Quantity("it", kind),)})()
    assert plain_result("x", analysis, {"it": good}) == {"it": plain}
    assert plain_result("x", analysis, {"it": None}) == {"it": None}
    for values in ({}, {"it": bad}) if bad is not None else ({},):
        with pytest.raises(PluginError, match=f"the analysis 'x' gave no {kind} for it"):
            plain_result("x", analysis, values)


def test_one_for_short_sounds_is_computed_of_those_unless_it_is_named(
    make: MakeFile, music: Path, tmp_path: Path, present, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counting, "by_name", True)
    monkeypatch.setattr(Counting, "longest", 0.25)
    make("a.wav")
    assert named_analyses([]) == ()
    assert named_analyses([], of_short=True) == ("counting",)
    with Catalogue(tmp_path / "root") as catalogue:
        scanning.add(catalogue, [music], silent)
        assert analysing.analyse(catalogue, ["counting"], [], silent, any_length=False).analysed == 0
        assert analysing.analyse(catalogue, ["counting"], [], silent).analysed == 1


def test_a_name_without_an_analysis_is_a_sentence(present) -> None:
    assert named_analyses([]) == ("counting",)
    with pytest.raises(PluginError, match=r"there is no analysis 'countin'.*counting"):
        named_analyses(["countin"])
