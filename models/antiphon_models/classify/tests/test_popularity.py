"""A table's column: beside its baseline, by artists that were held out, and what is installed of it."""

import csv
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from antiphon.api import FileError, UsageError
from antiphon_classify.popularity import Popularity
from antiphon_models.classify.popularity import PopularityTraining, cross_validate, read_table

pytestmark = pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")
RATE = 16000


def table(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def songs(folder: Path) -> list[dict[str, Any]]:
    """Twelve sounds, of which tones are liked and noise is not, by six artists."""
    rng, rows = np.random.default_rng(1), []
    for n in range(12):
        time = np.arange(RATE) / RATE
        tone = 0.2 * np.sin(2 * np.pi * (200 + 30 * n) * time)
        soundfile.write(folder / f"{n}.wav", tone if n % 2 else rng.normal(0.0, 0.1, RATE), RATE)
        year, genre = 1990 + n, "pop" if n % 2 else "noise"
        rows.append({"path": f"{n}.wav", "artist": f"a{n // 2}", "year": year, "genre": genre, "score": 80 * (n % 2)})
    return rows


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path / "home"))
    return tmp_path


def learn(path: Path, target: str) -> list[str]:
    said: list[str] = []
    PopularityTraining().from_table(path, target, None, said.append)
    return said


def answer(path: Path) -> dict[str, Any]:
    sound, _ = soundfile.read(path, dtype="float32")
    run = Popularity().begin(RATE, 1)
    run.feed(sound[None])
    return dict(run.result())


def test_a_number_is_learned_from_sound_and_columns(home: Path) -> None:
    path = table(home / "t.csv", songs(home))
    with pytest.raises(UsageError, match=r"antiphon train popularity TABLE\.csv makes one"):
        answer(home / "1.wav")
    said = learn(path, "score")
    errors = {line.split(":")[0].strip(): float(line.split(": ")[1]) for line in said if line.startswith("  ")}
    assert errors["baseline"] == pytest.approx(40.0)
    assert errors["other columns"] < 5.0
    assert errors["sound"] < 20.0
    assert "12 songs by 6 artists" in said[0]
    liked, other = (answer(home / f"{n}.wav")["popularity"] for n in (3, 4))
    assert 0.0 <= other < 30.0 < 50.0 < liked <= 80.0


def test_without_audio_nothing_is_installed(home: Path) -> None:
    rows = [{key: value for key, value in row.items() if key != "path"} for row in songs(home)]
    assert learn(table(home / "t.csv", rows), "score")[-1].startswith("nothing is installed")
    assert not (home / "home").exists() or not list((home / "home").rglob("popularity*"))


def test_an_artist_is_never_on_both_sides() -> None:
    # of each artist one number, which tells nothing of another's
    rng = np.random.default_rng(3)
    artists = [f"a{n // 10}" for n in range(100)]
    who = np.eye(10)[np.arange(100) // 10]
    truth = np.repeat(rng.normal(0.0, 1.0, 10), 10)
    found = cross_validate({"who": who}, truth, artists, ())
    assert found["who"] == pytest.approx(found["baseline"], rel=0.2)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda rows: [{"artist": "one", "year": row["year"], "score": row["score"]} for row in rows],
            "one artist alone",
        ),
        (lambda rows: rows[:5], "5 rows with 'score'; at least 10"),
        (lambda rows: [{"artist": row["artist"], "score": row["score"]} for row in rows], "neither a column path"),
        (lambda rows: [{**row, "path": "gone.wav"} for row in rows], "0 rows whose audio can be read"),
        (lambda rows: [{"x": 1} for _ in rows], "no column 'score'; --target names one of x"),
    ],
)
def test_a_table_that_cannot_teach_is_refused(home: Path, change: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        learn(table(home / "t.csv", change(songs(home))), "score")


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\0")
    (tmp_path / "b.csv").write_text("a,b\n")
    for name in ("a.csv", "b.csv", "none.csv"):
        with pytest.raises(FileError):
            read_table(tmp_path / name)
