"""Figures and tables of an evaluation: by hand what they should be."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from antiphon.kernel.errors import UsageError
from antiphon_models.learning import evaluation as tables
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Measure, MetricValue, System


class Sums(Evaluation):
    systems = (System("ours", "ours"), System("nothing", "trivial"), System("truth", "oracle"))
    measures = (Measure("gain", "dB"), Measure("false", "", "lower"))
    note = "Not comparable with anything."
    road = "`antiphon run sum IN OUT`"

    def scores(self, ask):
        for n in range(ask.limit or 4):
            for name, gain in (("nothing", 0.0), ("ours", 1.0 + n), ("truth", 9.0)):
                if ask.wants(name):
                    yield MetricValue(name, "gain", f"item {n}", gain)
                    yield MetricValue(name, "false", f"item {n}", 10.0 - gain)


def ask(**given) -> EvaluationRequest:
    return EvaluationRequest(Path("data"), Path("work"), **given)


def cells(**given):
    return {(c.system, c.measure): c for c in tables.cells(Sums(), Sums().scores(ask(**given)))}


def test_mean_error_n_and_worst() -> None:
    found = cells()
    ours = found["ours", "gain"]
    assert (ours.n, ours.mean, ours.worst, ours.worst_item) == (4, 2.5, 1.0, "item 0")
    assert ours.error == pytest.approx(math.sqrt(5.0 / 3.0 / 4.0))
    assert found["ours", "false"].worst == 9.0, "where less is better the most is worst"
    assert found["truth", "gain"].error == 0.0


def test_what_is_no_number_is_left_out() -> None:
    scores = [MetricValue("ours", "gain", "a", float("nan")), MetricValue("ours", "gain", "b", 2.0)]
    (cell,) = tables.cells(Sums(), scores)
    assert (cell.n, cell.mean, cell.error) == (1, 2.0, 0.0)


def test_only_asked_systems() -> None:
    assert {system for system, _ in cells(systems=("truth",))} == {"truth"}
    with pytest.raises(UsageError, match="no system 'sax'; there are: ours, nothing, truth"):
        tables.check(Sums(), ask(systems=("sax",)))
    systems = tuple(System(name, name) for name in ("yin, live", "yin", "yin, learned"))
    named = type("Live", (Sums,), {"systems": systems})
    with pytest.raises(UsageError, match=r"no system 'nope'; there are: 'yin, live', yin, 'yin, learned'$"):
        tables.check(named(), ask(systems=("nope",)))
    with pytest.raises(UsageError, match="did you mean 'yin, live'"):
        tables.check(named(), ask(systems=("yin, liv",)))
    with pytest.raises(UsageError, match="takes no files"):
        tables.check(Sums(), ask(files=(Path("a.wav"),)))


@pytest.fixture
def command(monkeypatch):
    """Runs `antiphon` with the evaluation above besides the real ones."""
    from click.testing import CliRunner

    from antiphon.api.backends import rendering
    from antiphon.cli.commands import application

    real = rendering.load_plugins

    def load(*given, **named):
        found = real(*given, **named)
        found.factories["evaluations"]["sums"] = Sums
        return found

    monkeypatch.setattr(rendering, "load_plugins", load)
    return lambda *words: CliRunner().invoke(application(words), [*words])


def test_the_command(tmp_path, command) -> None:
    kept = tmp_path / "figures.json"
    asked = ["evaluate", "sums", "--system", "ours", "--limit", "2", "--seed", "7", "--work", str(tmp_path)]
    done = command(*asked, "--json", str(kept))
    assert done.exit_code == 0, done.output
    assert "1.50 ± 0.500" in done.output
    assert "seed 7" in done.output
    figures = json.loads(kept.read_text())
    assert [(f["system"], f["measure"], f["n"], f["mean"]) for f in figures["figures"]] == [
        ("ours", "gain", 2, 1.5),
        ("ours", "false", 2, 8.5),
    ]


def test_a_file_of_ones_own_takes_time_too_and_that_is_said_before(tmp_path, command, monkeypatch) -> None:
    monkeypatch.setattr(Sums, "files_doc", "sounds")
    mine = tmp_path / "mine.wav"
    mine.touch()
    asked = ["evaluate", "sums", "--work", str(tmp_path)]
    done = command(*asked, str(mine))
    one = "--system 'ours' takes one system\n"
    assert done.stderr.startswith(f"sums is measured on your files, which may take hours; {one}")
    assert f"all its items, which may take hours; --limit 5 takes five items, {one}" in command(*asked).stderr
    assert "may take hours" not in command(*asked, str(mine), "--limit", "1").stderr


def test_examples_and_figures_are_asked_for_one_at_a_time(tmp_path, command) -> None:
    asked = ["evaluate", "sums", "--work", str(tmp_path / "w"), "--examples", str(tmp_path / "x")]
    done = command(*asked, "--json", str(tmp_path / "y.json"))
    assert isinstance(done.exception, UsageError)
    assert "--examples writes sounds and no figures; leave out --examples or --json" in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_examples_are_files_by_item_and_system(tmp_path, monkeypatch) -> None:
    import soundfile

    from antiphon_models.commands.train import _write
    from antiphon_models.learning.evaluation import Example

    tone = np.full(480, 0.25, np.float32)
    shown = [Example("Rain 1, 10 dB", "clean", tone, 48000), Example("Rain 1, 10 dB", "ours", 2 * tone, 48000)]
    _write(iter([*shown, Example("other", "clean", tone, 44100)]), tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["01-rain-1-10-db--clean.wav", "01-rain-1-10-db--ours.wav", "02-other--clean.wav"]
    sound, rate = soundfile.read(tmp_path / names[1])
    assert (rate, len(sound), sound[100]) == (48000, 480, pytest.approx(0.5, abs=1e-6))
    with pytest.raises(UsageError, match="no sounds to show"):
        _write(iter([]), tmp_path)


# ---- without the data folder


class Songs(Sums):
    folders = ("songs",)
    synthetic_doc = "4 sums made by seed"

    def scores(self, ask):
        for score in super().scores(ask):
            yield MetricValue(score.system, score.measure, score.item, score.value, "made" if ask.synthetic else "data")


def test_missing_folders_are_replaced_and_a_line_says_so(tmp_path) -> None:
    lines: list[str] = []
    request = tables.choose_material(Songs(), ask(say=lines.append))
    assert request.synthetic
    assert len(lines) == 1
    assert lines[0].startswith("there is no folder data, which would hold songs/: measured on 4 sums made by seed; not")
    assert not tables.choose_material(Songs(), ask(files=(Path("a.wav"),), say=lines.append)).synthetic
    tables.choose_material(Songs(), EvaluationRequest(tmp_path, tmp_path, say=lines.append))
    assert lines.pop().startswith(f"{tmp_path} holds no songs/: measured on")
    (tmp_path / "songs").mkdir()
    assert not tables.choose_material(Songs(), EvaluationRequest(tmp_path, tmp_path, say=lines.append)).synthetic
    assert len(lines) == 1
    with pytest.raises(UsageError, match="there is no folder data, which would hold songs/"):
        tables.choose_material(type("Bound", (Songs,), {"synthetic_doc": ""})(), ask())


# ---- the page of results


@pytest.fixture
def page(tmp_path, monkeypatch) -> Path:
    """A page of results that holds those of another evaluation."""
    path = tmp_path / "RESULTS.md"
    path.write_text(f"{tables.HEAD}\n## tuned\n\nfigures\n")
    for function in (tables.check_card, tables.write_section):
        monkeypatch.setattr(function, "__defaults__", (path,))
    return path


def test_a_section_of_the_page_is_replaced_and_the_others_stay(tmp_path, command, page) -> None:
    for limit in ("3", "2"):
        done = command("evaluate", "sums", "--card", "--limit", limit, "--work", str(tmp_path))
        assert done.exit_code == 0, done.output
    found = tables.sections(page)
    assert list(found) == ["sums", "tuned"]
    assert found["tuned"] == "figures"
    assert found["sums"].startswith("`antiphon evaluate sums --limit 2`, seed 1, Antiphon ")
    assert found["sums"].count("1.50 ± 0.500") == 1
    assert "2.00 ± " not in page.read_text()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--system", "ours"], "this measures some systems"),
        (["--examples", "x"], "leave out --examples or --card"),
    ],
)
def test_the_page_is_of_all_systems_and_all_items(tmp_path, command, page, words, reason) -> None:
    before = page.read_text()
    done = command("evaluate", "sums", "--card", "--work", str(tmp_path), *words)
    assert isinstance(done.exception, UsageError)
    assert reason in str(done.exception)
    assert page.read_text() == before


def test_the_page_is_not_of_synthetic_items_and_is_there_before(page) -> None:
    with pytest.raises(UsageError, match="items without data"):
        tables.check_card(ask(synthetic=True))
    page.unlink()
    with pytest.raises(UsageError, match="--card is for a checkout"):
        tables.check_card(ask())
