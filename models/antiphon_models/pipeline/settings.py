"""`pipeline.toml`: what is gathered, and what is made of it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from antiphon.classifiers.classifier_file import MOST_VALUES
from antiphon.errors import FileError, UsageError
from antiphon.runtime.finite import is_finite_number
from antiphon.runtime.paths import why
from antiphon.runtime.shortening import short_repr, shorten
from antiphon.runtime.suggestion import instead, meant
from antiphon.signal.mel import MelSettings
from antiphon_models.datasets.layouts import layout_of
from antiphon_models.pipeline.frameworks import FRAMEWORKS

STEPS = ("gather", "preprocess", "analyse", "train", "evaluate", "deploy", "predict")
"""In their order."""
LARGEST = 1 << 20
"""Bytes of the file."""
LEAST_FRAMES = 8
"""Of an excerpt: two after the two poolings of `training.network`."""


@dataclass(frozen=True, slots=True)
class GatherSettings:
    """Where the sounds are.

    Attributes:
        dataset: A name of `antiphon dataset list`.
        path: Its folder.
    """

    dataset: str
    path: Path


@dataclass(frozen=True, slots=True)
class PreprocessSettings(MelSettings):
    """What is computed of each sound: a spectrogram, of so much of it.

    Attributes:
        seconds: Most of each sound, from its middle; 0 for all.
        shards: Files that the items are shared among, by digests of their names.
    """

    seconds: float = 30.0
    shards: int = 16

    @property
    def mel(self) -> MelSettings:
        """Those of the spectrograms."""
        return MelSettings(self.rate, self.window, self.hop, self.bands, self.low, self.high)


@dataclass(frozen=True, slots=True)
class AnalyseSettings:
    """Which analyses are made of each sound.

    Attributes:
        analyses: Their names; none for all.
        shards: Files that the items are shared among.
    """

    analyses: tuple[str, ...] = ()
    shards: int = 64


@dataclass(frozen=True, slots=True)
class PredictSettings:
    """What is said of new sounds.

    Attributes:
        path: Their folder.
        analyses: The classifiers, which are analyses; none for all.
        shards: Files that the sounds are shared among.
    """

    path: Path
    analyses: tuple[str, ...] = ()
    shards: int = 16


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """What is said of sounds as they arrive.

    Attributes:
        path: The folder that they arrive in.
        analyses: The classifiers, which are analyses; none for all.
        queue: Most sounds that wait; others stay in the folder, or are refused.
        largest: Bytes of a file.
        mqtt: A broker's address, "mqtt://USER@HOST:1883"; "" for none. One with a password is in
            ANTIPHON_MQTT_URL, which goes before it.
        topic: Requests are at TOPIC/request, answers at TOPIC/result and TOPIC/refused.
    """

    path: Path
    analyses: tuple[str, ...] = ()
    queue: int = 64
    largest: int = 256 << 20
    mqtt: str = ""
    topic: str = "antiphon/sounds"


_RANGES = {
    "rate": (4000, 192_000), "window": (64, 16_384), "hop": (16, 16_384), "bands": (4, 512), "low": (0.0, 20_000.0),
    "high": (100.0, 96_000.0), "seconds": (0.0, 36_000.0), "shards": (1, 10_000),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How the classifier is trained, by each framework alike.

    Attributes:
        frameworks: Names of `frameworks.FRAMEWORKS`; none for all that are installed.
        seconds: Of an excerpt.
        epochs: Times that all sounds are gone through.
        batch: Excerpts that are learnt from together.
        learning_rate: At the beginning; it falls to a hundredth by a half cosine.
        width: Channels of the network's first layer.
        seed: Of what is drawn by chance.
        threads: Of the processor; another number may round otherwise.
        labels: "one" or `SEVERAL` of each sound; "" for what most sounds have.
        test: Share of the sounds for the test, by group; 0 for the splits of the data set.
        valid: Share for the validation, where `test` is one.
        folds: Trainings besides, each of which is tested on a part of the sounds of its own; 0 for none.
    """

    frameworks: tuple[str, ...] = ()
    seconds: float = 3.0
    epochs: int = 20
    batch: int = 32
    learning_rate: float = 0.001
    width: int = 32
    seed: int = 1
    threads: int = 1
    labels: str = ""
    test: float = 0.0
    valid: float = 0.1
    folds: int = 0


SEVERAL = "several"
_TRAIN_RANGES = {
    "seconds": (0.1, 600.0), "epochs": (1, 10_000), "batch": (1, 4096), "learning_rate": (1e-7, 1.0),
    "width": (4, 512), "seed": (0, 2**31 - 1), "threads": (1, 256),
    "test": (0.0, 0.5), "valid": (0.0, 0.4), "folds": (0, 20),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeploySettings:
    """What is installed.

    Attributes:
        framework: Whose classifier; "" for the best on the validation split.
        name: Of the analysis; "" for the pipeline's.
    """

    framework: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """A pipeline.

    Attributes:
        name: Of what it makes.
        out: The folder for all that it writes.
        gather: See there.
        preprocess: See there.
        analyse: See there.
        predict: See there; None where the file has no such table.
        watch: See there; None where the file has no such table.
        train: See there.
        deploy: See there.
    """

    name: str
    out: Path
    gather: GatherSettings
    preprocess: PreprocessSettings
    analyse: AnalyseSettings = AnalyseSettings()
    predict: PredictSettings | None = None
    watch: WatchSettings | None = None
    train: TrainSettings = TrainSettings()
    deploy: DeploySettings = DeploySettings()


def load(path: Path) -> PipelineSettings:
    """Reads the file. Paths in it are relative to its folder.

    Raises:
        FileError: It cannot be read, or says what cannot be.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise FileError(f"{path} has more than {LARGEST} bytes: it is no pipeline")
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FileError(f"cannot read {path}: {why(error)}") from None
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is not TOML: {error}") from None
    _known(
        path, "", found,
        {"name", "out", "gather", "preprocess", "analyse", "train", "deploy", "predict", "watch"},
    )  # fmt: skip
    gather = _table(path, found, "gather")
    if not gather:  # new sounds alone, which are in one folder
        places = [_table(path, found, key).get("path") for key in ("predict", "watch") if key in found]
        gather = {"dataset": "folder", "path": places[0]} if places and places[0] else gather
    _known(path, "gather.", gather, {"dataset", "path"})
    dataset, place = _text(path, gather, "gather.", "dataset"), _text(path, gather, "gather.", "path")
    try:
        layout_of(dataset)
    except UsageError as error:
        raise FileError(f"{path}: gather.dataset: {error}") from None
    name = _text(path, found, "", "name")
    out = path.parent / _text(path, {"out": name, **found}, "", "out")
    preprocess = _preprocess(path, _table(path, found, "preprocess"))
    return PipelineSettings(
        name,
        out,
        GatherSettings(dataset, path.parent / place),
        preprocess,
        analyse=_analyse(path, _table(path, found, "analyse")),
        train=_train(path, _table(path, found, "train"), preprocess),
        deploy=_deploy(path, _table(path, found, "deploy")),
        predict=_predict(path, _table(path, found, "predict")) if "predict" in found else None,
        watch=_watch(path, _table(path, found, "watch")) if "watch" in found else None,
    )


def _train(path: Path, table: Mapping[str, Any], preprocess: PreprocessSettings) -> TrainSettings:
    _known(path, "train.", table, {field.name for field in fields(TrainSettings)})
    names = table.get("frameworks", [])
    if not isinstance(names, list) or not set(map(str, names)) <= set(FRAMEWORKS) or len(set(names)) != len(names):
        known = ", ".join(f'"{name}"' for name in FRAMEWORKS)
        other = (
            next((name for name in map(str, names) if name not in FRAMEWORKS), "") if isinstance(names, list) else ""
        )
        near = meant(other, FRAMEWORKS)
        raise FileError(
            f"{path}: train.frameworks is {short_repr(names)}; {near}it is a list of some of {known}, each once"
        )
    numbers = {key: value for key, value in table.items() if key not in ("frameworks", "labels")}
    _in_range(path, "train.", numbers, _TRAIN_RANGES)
    labels = table.get("labels", "")
    if labels not in ("", "one", SEVERAL):
        raise FileError(f'{path}: train.labels is {short_repr(labels)}; it is "one" or "{SEVERAL}" of each sound')
    if numbers.get("folds") == 1:
        raise FileError(f"{path}: train.folds is 1; it is 2 to 20, or 0 for none")
    made = TrainSettings(frameworks=tuple(names), labels=labels, **numbers)
    if "seconds" not in table and preprocess.seconds:
        made = replace(made, seconds=min(made.seconds, preprocess.seconds))
    if preprocess.seconds and made.seconds > preprocess.seconds:
        raise FileError(
            f"{path}: train.seconds is {made.seconds:g}, and preprocess.seconds is only {preprocess.seconds:g}"
        )
    frames = excerpt_frames(made.seconds, preprocess.mel)
    if frames < LEAST_FRAMES:
        raise FileError(
            f"{path}: train.seconds is {made.seconds:g}, {frames} frames; at least {LEAST_FRAMES} are needed"
        )
    if frames * preprocess.mel.bands > MOST_VALUES:
        raise FileError(
            f"{path}: train.seconds is {made.seconds:g}, {frames} frames of {preprocess.mel.bands} bands; "
            f"{MOST_VALUES} numbers are allowed"
        )
    return made


def _deploy(path: Path, table: Mapping[str, Any]) -> DeploySettings:
    _known(path, "deploy.", table, {field.name for field in fields(DeploySettings)})
    made = DeploySettings(**{key: _text(path, table, "deploy.", key) for key in table})
    if made.framework and made.framework not in FRAMEWORKS:
        known = instead(made.framework, FRAMEWORKS, "it is one of")
        raise FileError(f"{path}: deploy.framework is {short_repr(made.framework)}{known}")
    return made


def _analyse(path: Path, table: Mapping[str, Any]) -> AnalyseSettings:
    _known(path, "analyse.", table, {field.name for field in fields(AnalyseSettings)})
    made = AnalyseSettings()
    return AnalyseSettings(_names(path, table, "analyse."), _shards(path, table, "analyse.", made.shards))


def _predict(path: Path, table: Mapping[str, Any]) -> PredictSettings:
    _known(path, "predict.", table, {field.name for field in fields(PredictSettings)})
    place = path.parent / _text(path, table, "predict.", "path")
    return PredictSettings(
        place, _names(path, table, "predict."), _shards(path, table, "predict.", PredictSettings(place).shards)
    )


def _watch(path: Path, table: Mapping[str, Any]) -> WatchSettings:
    _known(path, "watch.", table, {field.name for field in fields(WatchSettings)})
    made = WatchSettings(path.parent / _text(path, table, "watch.", "path"))
    topic = _text(path, {"topic": made.topic, **table}, "watch.", "topic")
    if set(topic) & set("#+$") or len(topic) > 200:
        said = short_repr(topic)
        raise FileError(f"{path}: watch.topic is {said}; it is a topic of at most 200 characters, without + # $")
    return replace(
        made,
        analyses=_names(path, table, "watch."),
        queue=_whole(path, table, "watch.", "queue", made.queue, 1, 10_000),
        largest=_whole(path, table, "watch.", "largest", made.largest, 1000, 1 << 34),
        mqtt=_text(path, table, "watch.", "mqtt") if "mqtt" in table else "",
        topic=topic,
    )


def _names(path: Path, table: Mapping[str, Any], prefix: str) -> tuple[str, ...]:
    names = table.get("analyses", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FileError(f'{path}: {prefix}analyses is {short_repr(names)}; it is a list of names, such as ["music"]')
    return tuple(names)


def _shards(path: Path, table: Mapping[str, Any], prefix: str, default: int) -> int:
    return _whole(path, table, prefix, "shards", default, 1, 10_000)


def _whole(path: Path, table: Mapping[str, Any], prefix: str, key: str, default: int, low: int, high: int) -> int:
    value = table.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise FileError(f"{path}: {prefix}{key} is {short_repr(value)}; it is a whole number from {low} to {high}")
    return value


def _preprocess(path: Path, table: Mapping[str, Any]) -> PreprocessSettings:
    _known(path, "preprocess.", table, {field.name for field in fields(PreprocessSettings)})
    _in_range(path, "preprocess.", table, _RANGES)
    made = PreprocessSettings(**table)
    if made.hop > made.window:
        raise FileError(
            f"{path}: preprocess.hop is {made.hop}; at most the window of {made.window}, or sound is left out"
        )
    if not made.low < made.high <= made.rate / 2:
        given = f"low {made.low:g}, high {made.high:g} and rate {made.rate}"
        raise FileError(f"{path}: preprocess has {given}; low must be below high, and high at most half of rate")
    return made


def excerpt_frames(seconds: float, mel: MelSettings) -> int:
    """Frames of an excerpt of so many seconds."""
    return max(0, round(seconds * mel.rate) - mel.window) // mel.hop + 1


def chosen_steps(text: str) -> tuple[str, ...]:
    """The steps that are named, in their order.

    Raises:
        UsageError: One has another name.
    """
    names = {name.strip() for name in text.split(",") if name.strip()}
    if not names or (others := names - set(STEPS)):
        unknown = f"there is no step {short_repr(sorted(others)[0])}" if names else "no step is named"
        near = meant(sorted(others)[0], STEPS) if names else ""
        raise UsageError(f"{unknown}; {near}the steps are {', '.join(STEPS)}, separated by commas")
    return tuple(step for step in STEPS if step in names)


def _table(path: Path, found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = found.get(key, {})
    if not isinstance(table, dict):
        raise FileError(f"{path}: {key} is no table: write [{key}] and its values below it")
    return table


def _text(path: Path, found: Mapping[str, Any], prefix: str, key: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not value or "\0" in value:
        raise FileError(f'{path}: {prefix}{key} is missing or no text: write {key} = "…"')
    return value


def _in_range(path: Path, prefix: str, table: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]]) -> None:
    for key, value in table.items():
        low, high = ranges[key]
        whole = isinstance(low, int)
        if not is_finite_number(value) or (whole and not isinstance(value, int)) or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            raise FileError(f"{path}: {prefix}{key} is {short_repr(value)}; it is {kind} from {low:g} to {high:g}")


def _known(path: Path, prefix: str, found: Mapping[str, Any], names: set[str]) -> None:
    if others := sorted(set(found) - names):
        raise FileError(f"{path}: there is no {prefix}{shorten(others[0])}; it may hold {', '.join(sorted(names))}")
