"""`pipeline.toml`: what is gathered, and what is made of it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime import extras
from antiphon.kernel.runtime.finite import is_finite_number
from antiphon.kernel.runtime.paths import why
from antiphon.kernel.runtime.shortening import short_repr, shorten
from antiphon.kernel.runtime.suggestion import instead, suggest
from antiphon.kernel.signal.features import FEATURE_DEFAULTS, feature_fault
from antiphon.kernel.signal.mel import MEL, MelSettings
from antiphon_classify.classifier_file import MOST_VALUES
from antiphon_models.datasets.layouts import layout_of
from antiphon_models.pipeline.frameworks import FRAMEWORKS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

STEPS = ("gather", "preprocess", "stems", "analyse", "train", "evaluate", "deploy", "predict")
"""In their order."""
LARGEST = 1 << 20
"""Bytes of the file."""
Made = TypeVar("Made", bound="DataclassInstance")
LEAST_FRAMES = 8
"""Of an excerpt: two after the two poolings of `training.network`."""


@dataclass(frozen=True, slots=True)
class GatherSettings:
    """Where the sounds are. `dataset`: a name of `antiphon dataset list`; `path`: its folder."""

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
        return MelSettings(self.rate, self.window, self.hop, self.bands, self.low, self.high, self.features)


@dataclass(frozen=True, slots=True)
class AnalyseSettings:
    """Settings of the step analyse.

    `analyses`: their names; none for all; `shards`: files that the items are shared among.
    """

    analyses: tuple[str, ...] = ()
    shards: int = 64


@dataclass(frozen=True, slots=True)
class PredictSettings:
    """Settings of the step predict.

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
    """Settings of `pipeline watch`.

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


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Settings of the training, the same for each framework.

    Attributes:
        frameworks: Names of `frameworks.FRAMEWORKS`; none for all that are installed.
        seconds: Of an excerpt.
        epochs: Passes over all sounds.
        batch: Batch size, in excerpts.
        learning_rate: At the beginning; it falls to a hundredth by a half cosine.
        width: Channels of the network's first layer.
        seed: Random seed.
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
"""What `train.labels` says of sounds with any number of labels."""


@dataclass(frozen=True, slots=True)
class DeploySettings:
    """Settings of the step deploy.

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


_RANGES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "preprocess": {
        "rate": (4000, 192_000), "window": (64, 16_384), "hop": (16, 16_384), "bands": (4, 512), "low": (0.0, 20_000.0),
        "high": (100.0, 96_000.0), "seconds": (0.0, 36_000.0), "shards": (1, 10_000),
    },
    "train": {
        "seconds": (0.1, 600.0), "epochs": (1, 10_000), "batch": (1, 4096), "learning_rate": (1e-7, 1.0),
        "width": (4, 512), "seed": (0, 2**31 - 1), "threads": (1, 256), "test": (0.0, 0.5), "valid": (0.0, 0.4),
        "folds": (0, 20),
    },
    "analyse": {"shards": (1, 10_000)},
    "predict": {"shards": (1, 10_000)},
    "watch": {"queue": (1, 10_000), "largest": (1000, 1 << 34)},
}  # fmt: skip
"""By table and key what a number may be; whole numbers where the first is one."""


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
    _known(path, "", found, {field.name for field in fields(PipelineSettings)})
    if not _table(path, found, "gather"):  # new sounds alone, which are in one folder
        places = [_table(path, found, key).get("path") for key in ("predict", "watch") if key in found]
        if places and places[0]:
            found["gather"] = {"dataset": "folder", "path": places[0]}
    gather = _read(path, found, "gather", GatherSettings)
    try:
        layout_of(gather.dataset)
    except UsageError as error:
        raise FileError(f"{path}: gather.dataset: {error}") from None
    name = _text(path, found, "", "name")
    preprocess = _preprocess(path, found)
    made = PipelineSettings(
        name,
        path.parent / _text(path, {"out": name, **found}, "", "out"),
        gather,
        preprocess,
        analyse=_read(path, found, "analyse", AnalyseSettings),
        train=_train(path, found, preprocess),
        deploy=_read(path, found, "deploy", DeploySettings),
        predict=_read(path, found, "predict", PredictSettings) if "predict" in found else None,
        watch=_read(path, found, "watch", WatchSettings) if "watch" in found else None,
    )
    if (framework := made.deploy.framework) and framework not in FRAMEWORKS:
        known = instead(framework, FRAMEWORKS, "it is one of")
        raise FileError(f"{path}: deploy.framework is {short_repr(framework)}{known}")
    if made.watch and (set(topic := made.watch.topic) & set("#+$") or len(topic) > 200):
        said = short_repr(topic)
        raise FileError(f"{path}: watch.topic is {said}; it is a topic of at most 200 characters, without + # $")
    return made


def _read(path: Path, found: Mapping[str, Any], key: str, kind: type[Made], **checked: Any) -> Made:
    """A table as the record that declares its keys. checked: values that have been read already."""
    table = _table(path, found, key)
    _known(path, f"{key}.", table, {field.name for field in fields(kind)})
    for field in fields(kind):
        name = field.name
        if name in checked or (name not in table and field.default is not MISSING):
            continue
        if limits := _RANGES.get(key, {}).get(name):
            checked[name] = _number(path, f"{key}.{name}", table[name], *limits)
        elif field.type == "tuple[str, ...]":
            checked[name] = _names(path, f"{key}.{name}", table[name])
        else:
            text = _text(path, table, f"{key}.", name)
            checked[name] = path.parent / text if field.type == "Path" else text
    return kind(**checked)


def _train(path: Path, found: Mapping[str, Any], preprocess: PreprocessSettings) -> TrainSettings:
    table = _table(path, found, "train")
    names, labels = table.get("frameworks", []), table.get("labels", "")
    if not isinstance(names, list) or not set(map(str, names)) <= set(FRAMEWORKS) or len(set(names)) != len(names):
        known = ", ".join(f'"{name}"' for name in FRAMEWORKS)
        others = [name for name in map(str, names) if name not in FRAMEWORKS] if isinstance(names, list) else []
        near = suggest(others[0], FRAMEWORKS) if others else ""
        raise FileError(
            f"{path}: train.frameworks is {short_repr(names)}; {near}it is a list of some of {known}, each once"
        )
    if labels not in ("", "one", SEVERAL):
        raise FileError(f'{path}: train.labels is {short_repr(labels)}; it is "one" or "{SEVERAL}" of each sound')
    made = _read(path, found, "train", TrainSettings, frameworks=tuple(names), labels=labels)
    if made.folds == 1:
        raise FileError(f"{path}: train.folds is 1; it is 2 to 20, or 0 for none")
    if "seconds" not in table and preprocess.seconds:
        made = replace(made, seconds=min(made.seconds, preprocess.seconds))
    frames, bands = excerpt_frames(made.seconds, preprocess.mel), preprocess.mel.bands
    if preprocess.seconds and made.seconds > preprocess.seconds:
        fault = f"and preprocess.seconds is only {preprocess.seconds:g}"
    elif frames < LEAST_FRAMES:
        fault = f"{frames} frames; at least {LEAST_FRAMES} are needed"
    elif frames * bands > MOST_VALUES:
        fault = f"{frames} frames of {bands} bands; {MOST_VALUES} numbers are allowed"
    else:
        return made
    raise FileError(f"{path}: train.seconds is {made.seconds:g}, {fault}")


def _preprocess(path: Path, found: Mapping[str, Any]) -> PreprocessSettings:
    table = _table(path, found, "preprocess")
    features = _text(path, {"features": MEL, **table}, "preprocess.", "features")
    if features not in FEATURE_DEFAULTS:
        known = instead(features, FEATURE_DEFAULTS, "it is one of")
        raise FileError(f"{path}: preprocess.features is {short_repr(features)}{known}")
    if features != MEL:
        extras.require(f"{path}: preprocess.features = {short_repr(features)}", ["librosa"])
    whole = {**found, "preprocess": {**FEATURE_DEFAULTS[features], **table}}
    made = _read(path, whole, "preprocess", PreprocessSettings)
    if made.hop > made.window:
        raise FileError(
            f"{path}: preprocess.hop is {made.hop}; at most the window of {made.window}, or sound is left out"
        )
    if not made.low < made.high <= made.rate / 2:
        given = f"low {made.low:g}, high {made.high:g} and rate {made.rate}"
        raise FileError(f"{path}: preprocess has {given}; low must be below high, and high at most half of rate")
    if fault := feature_fault(made.mel):
        raise FileError(f"{path}: preprocess has features {features} and {fault}")
    return made


def excerpt_frames(seconds: float, mel: MelSettings) -> int:
    return max(0, round(seconds * mel.rate) - mel.window) // mel.hop + 1


def chosen_steps(text: str) -> tuple[str, ...]:
    """The steps that are named, in their order.

    Raises:
        UsageError: One has another name.
    """
    names = {name.strip() for name in text.split(",") if name.strip()}
    if not names or (others := names - set(STEPS)):
        unknown = f"there is no step {short_repr(sorted(others)[0])}" if names else "no step is named"
        near = suggest(sorted(others)[0], STEPS) if names else ""
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


def _number(path: Path, name: str, value: Any, low: float, high: float) -> Any:
    whole = isinstance(low, int)
    if not is_finite_number(value) or (whole and not isinstance(value, int)) or not low <= value <= high:
        limits = f"a whole number from {low} to {high}" if whole else f"a number from {low:g} to {high:g}"
        raise FileError(f"{path}: {name} is {short_repr(value)}; it is {limits}")
    return value


def _names(path: Path, name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise FileError(f'{path}: {name} is {short_repr(value)}; it is a list of names, such as ["music"]')
    return tuple(value)


def _known(path: Path, prefix: str, found: Mapping[str, Any], names: set[str]) -> None:
    if others := sorted(set(found) - names):
        raise FileError(f"{path}: there is no {prefix}{shorten(others[0])}; it may hold {', '.join(sorted(names))}")
