"""`antiphon train popularity TABLE.csv`: learns a column of a table by scikit-learn, cross-validated by artist.

A row is a song: its audio (`path`, relative to the table) or audio features, and other known columns: artist, year,
genre, language. The installed model uses only the sound, as a file has no other columns; the table of figures states
what those add.
"""

import csv
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64, AntiphonError, FileError, UsageError
from antiphon.api.backends.analysis import analyse_file
from antiphon.api.backends.files import make_folder, read_ordinary
from antiphon.api.backends.models import write_weights
from antiphon_classify.popularity import NAME, popularity_folder

AUDIO, ARTIST = ("path", "file", "audio"), "artist"
LARGEST, MAX_ROWS = 64 << 20, 100_000
"""Maximum bytes and rows of a table."""
FOLDS = 5
MIN_COUNT = 10
"""Minimum number of rows with the target."""
MAX_WORDS = 50
"""Maximum number of distinct words per text column; rarer ones are merged."""
PENALTIES = np.logspace(0, 5, 11)
"""Regularisation strengths to try; the best is chosen on the training rows."""
Row = dict[str, str]


class PopularityTraining:
    """Trains a model of a table's column and installs its audio part."""

    def from_table(self, table: Path, target: str, out: Path | None, say: Callable[[str], None]) -> None:
        """Cross-validates, reports the figures, and writes the audio model into `out`, by default the data folder.

        Raises UsageError: the table has too few rows, artists or columns. Raises FileError: the table is unreadable.
        """
        rows = read_table(table)
        if target not in rows[0]:
            raise UsageError(f"{table} has no column {target!r}; --target names one of {', '.join(rows[0])}")
        rows = [row for row in rows if row[target].strip()]
        if len(rows) < MIN_COUNT:
            raise UsageError(f"{table} has {len(rows)} rows with {target!r}; at least {MIN_COUNT} are needed")
        sounds, rows = _sounds(table, rows, say)
        truth, classes = _truth([row[target] for row in rows])
        artists = [row.get(ARTIST, "").strip() or f"row {n}" for n, row in enumerate(rows)]
        if len(set(artists)) < 2:
            raise UsageError(f"{table} has one artist alone; two at least are needed, of which one is held out")
        others = _columns(rows, target)
        parts = {"sound": sounds, "other columns": others}
        given: dict[str, F64] = {name: part for name, part in parts.items() if part is not None and part.shape[1]}
        if not given:
            raise UsageError(f"{table} has neither a column {' or '.join(AUDIO)} nor features besides {target!r}")
        if len(given) == 2:
            given["both"] = np.concatenate(list(given.values()), axis=1)
        figures = cross_validate(given, truth, artists, classes)
        measure = "share wrong" if classes else "mean error"
        say(f"{len(rows)} songs by {len(set(artists))} artists, {target}: {measure} on artists that were held out")
        for name, error in figures.items():
            say(f"  {name}: {error:.4g}")
        if sounds is None:
            say(f"nothing is installed: without audio in a column {AUDIO[0]!r} a file tells none of the features")
            return
        folder = make_folder(out or popularity_folder())
        if figures["sound"] >= figures["baseline"]:
            say("the sound tells no more than the baseline here: what the installed model says is a guess")
        weight, bias = _line(_fitted(sounds, truth, classes, artists))
        span = {"classes": list(classes)} if classes else {"range": [float(truth.min()), float(truth.max())]}
        details = {"target": target, "rows": len(rows), **span, **figures}
        write_weights(NAME, {"weight": weight, "bias": bias}, folder, details)
        say(f"antiphon library analyse --only popularity uses {folder}")


def read_table(path: Path) -> list[Row]:
    """Reads a CSV into rows keyed by its header in lower case. Raises `FileError`: it cannot be read."""
    try:
        text = io.StringIO(read_ordinary(path, LARGEST, "a table").decode("utf-8-sig"), newline="")
        rows = [
            {key.strip().lower(): value or "" for key, value in row.items() if key}
            for row, _ in zip(csv.DictReader(text), range(MAX_ROWS), strict=False)
        ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path} is no CSV in UTF-8: {error}") from None
    if not rows:
        raise FileError(f"{path} has no rows below the line of names")
    return rows


def cross_validate(
    given: dict[str, F64], truth: NDArray[Any], artists: Sequence[str], classes: tuple[str, ...]
) -> dict[str, float]:
    """Mean absolute error or error rate of the baseline (median, most frequent class) and of each model."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    base = DummyClassifier(strategy="most_frequent") if classes else DummyRegressor(strategy="median")
    errors: dict[str, list[F64]] = {"baseline": [], **{name: [] for name in given}}
    names = np.array(artists)
    for train, test in _folds(artists):
        for name, rows in {"baseline": np.zeros((len(truth), 1)), **given}.items():
            model = base.fit(rows[train], truth[train]) if name == "baseline" else None
            model = model or _fitted(rows[train], truth[train], classes, names[train])
            found = model.predict(rows[test])
            errors[name].append(found != truth[test] if classes else np.abs(found - truth[test]))
    return {name: float(np.concatenate(each).mean()) for name, each in errors.items()}


def _sounds(table: Path, rows: list[Row], say: Callable[[str], None]) -> tuple[F64 | None, list[Row]]:
    """Features of the rows' audio, and the rows with readable audio; None without such a column."""
    column = next((name for name in AUDIO if name in rows[0]), None)
    if column is None:
        return None, rows
    found, kept = [], []
    for number, row in enumerate(rows):
        if number % 50 == 49:
            say(f"heard {number + 1} of {len(rows)}")
        try:
            _, values, reason = analyse_file(os.fsencode(table.parent / row[column].strip()), ["tags"])["tags"]
        except AntiphonError as error:
            values, reason = None, str(error)
        if values is None or values["tag_embedding"] is None:
            say(f"row {number + 2} is left out: {reason or 'it is silent'}")
            continue
        found.append(values["tag_embedding"])
        kept.append(row)
    if len(kept) < MIN_COUNT:
        raise UsageError(f"{table} has {len(kept)} rows whose audio can be read; at least {MIN_COUNT} are needed")
    return np.array(found, np.float64), kept


def _truth(texts: Sequence[str]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Texts as numbers, or as class indices together with the class names."""
    numbers = _numbers(texts)
    if numbers is not None and np.isfinite(numbers).all():
        return numbers, ()
    classes = tuple(sorted({text.strip() for text in texts}))
    if len(classes) < 2:
        raise UsageError(f"the column says {classes[0]!r} of all songs: there is nothing to learn")
    return np.array([classes.index(text.strip()) for text in texts]), classes


def _columns(rows: Sequence[Row], target: str) -> F64 | None:
    """Feature columns besides target, audio and artist: numeric columns, and an indicator column per frequent word."""
    made: list[F64] = []
    for name in rows[0]:
        texts = [row.get(name, "").strip().casefold() for row in rows]
        if name in (target, ARTIST, "title", *AUDIO) or not any(texts):
            continue
        numbers = _numbers(texts)
        if numbers is not None:
            middle = float(np.nanmedian(numbers))
            made.append(np.where(np.isfinite(numbers), numbers, middle))
            continue
        words, counts = np.unique([text for text in texts if text], return_counts=True)
        frequent = [word for word, count in zip(words, counts, strict=True) if count > 1]
        made += [np.array([float(text == word) for text in texts]) for word in frequent[:MAX_WORDS]]
    return np.stack(made, axis=1) if made else None


def _numbers(texts: Sequence[str]) -> F64 | None:
    """Texts as numbers, NaN for empty ones; None if any text is not a number."""
    try:
        found = np.array([float(text) if text.strip() else np.nan for text in texts])
    except ValueError:
        return None
    return None if np.isinf(found).any() or np.isnan(found).all() else found


def _folds(artists: Sequence[str]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Training and test rows of each fold; an artist's songs are all in one."""
    from sklearn.model_selection import GroupKFold

    groups = list(artists)
    return list(GroupKFold(min(FOLDS, len(set(groups)))).split(groups, groups=groups))


def _fitted(rows: F64, truth: NDArray[Any], classes: tuple[str, ...], artists: Sequence[str]) -> Any:
    """Fits a linear model; its penalty is chosen on held-out artists, as other songs of a known artist flatter it."""
    from sklearn.linear_model import RidgeClassifierCV, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inner = _folds(artists) if len(set(artists)) > 1 else None
    last = RidgeClassifierCV(PENALTIES, cv=inner) if classes else RidgeCV(PENALTIES, cv=inner)
    return make_pipeline(StandardScaler(), last).fit(rows, truth)


def _line(model: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights `[features, outputs]` and bias of a fitted model, with its standardisation folded in."""
    scaler, last = model[0], model[-1]
    weight = np.atleast_2d(last.coef_) / scaler.scale_
    bias = np.atleast_1d(last.intercept_) - weight @ scaler.mean_
    if hasattr(last, "classes_") and len(weight) == 1:  # of two classes it has one line, which is the second's
        weight, bias = np.concatenate([-weight, weight]), np.concatenate([-bias, bias])
    return np.ascontiguousarray(weight.T, np.float32), bias.astype(np.float32)
