"""`pipeline.toml`: sources and steps of a pipeline; training frameworks, and whether they are installed."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, structs

from antiphon.api import FileError, UsageError
from antiphon.api.backends.analysis import MEL, MelSettings
from antiphon.api.backends.files import Misfit, convert_fields, reason_of_os_error
from antiphon.api.backends.runtime import missing_modules, require_modules, short_repr
from antiphon.kernel.runtime.extras import FRAMEWORKS as FRAMEWORK_MODULES, missing as lacking_modules
from antiphon.kernel.runtime.suggestion import suggest
from antiphon.kernel.runtime.toml_location import place_of as place_in_toml
from antiphon_classify import features
from antiphon_classify.classifier_session import MAX_VALUES
from antiphon_models.datasets.layouts import layout_of


@dataclass(frozen=True, slots=True)
class Framework:
    """A training framework.

    `trainer`: entry point of its trainer, MODULE:CLASS. `several`: whether it trains sounds with several labels.
    """

    name: str
    trainer: str
    title: str
    several: bool = True


_ROOM = "antiphon_models.pipeline.training"
FRAMEWORKS = {
    framework.name: framework
    for framework in (
        Framework("sklearn", f"{_ROOM}.by_sklearn:SklearnTrainer", "scikit-learn"),
        Framework("torch", f"{_ROOM}.by_torch:TorchTrainer", "PyTorch"),
        Framework("keras", f"{_ROOM}.by_keras:KerasTrainer", "Keras on TensorFlow", False),
        Framework("fastai", f"{_ROOM}.by_fastai:FastaiTrainer", "fastai"),
    )
}
"""Frameworks by name, the baseline first."""
RUNTIME = "onnxruntime"
"""Runtime of the classifiers of all frameworks."""


def missing(framework: Framework) -> str:
    """First missing module of a framework, or ""."""
    return next(iter(lacking_modules(FRAMEWORK_MODULES[framework.name])), "")


def choose_frameworks(names: Sequence[str]) -> list[Framework]:
    """Frameworks of these names, or all installed ones. Raises `UsageError`: one is not installed, or none is."""
    if not names:
        present = [framework for framework in FRAMEWORKS.values() if not missing(framework)]
        if not present:
            raise UsageError(
                "no framework to train with is installed; `pip install 'antiphon-lab[torch]'` brings PyTorch"
            )
        return present
    for name in names:
        if module := missing(FRAMEWORKS[name]):
            raise UsageError(missing_modules(name, module, extra=name))
    return [framework for name, framework in FRAMEWORKS.items() if name in names]


def check_runtime() -> None:
    """Checks the classifier runtime. Raises `UsageError`: it is not installed."""
    require_modules("playing classifiers", [RUNTIME])


STEPS = ("gather", "preprocess", "stems", "analyse", "train", "evaluate", "deploy", "predict")
"""Steps in order."""
NEEDED = ("gather", "preprocess", "train", "evaluate", "deploy")
"""Steps required for a classifier."""
LARGEST = 1 << 20
"""Maximum bytes of `pipeline.toml`."""
MIN_FRAMES = 8
"""Minimum frames of an excerpt: two after the two poolings of `training.network`."""
SEVERAL_LABELS = "several"
"""Value of `train.labels` for sounds with any number of labels."""
Text = Annotated[str, Meta(min_length=1, pattern=r"^[^\0]*$", description="text")]
Folder = Annotated[Path, Meta(description="the name of a folder")]
Names = Annotated[tuple[str, ...], Meta(description="a list of names")]
Shards = Annotated[int, Meta(ge=1, le=10_000)]
FrameworkName = Literal["sklearn", "torch", "keras", "fastai"]


class Table(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of a table of `pipeline.toml`."""


class GatherSettings(Table, frozen=True):
    """The source of the sounds. `dataset`: a name of `antiphon dataset list`; `path`: its folder.

    `group`: "none" to treat sounds as independent although the data set groups them; published splits are kept.
    """

    dataset: Text
    path: Folder
    group: Annotated[Literal["", "none"], Meta(description='"none"')] = ""


class PreprocessSettings(Table, frozen=True):
    """Spectrogram settings of each sound, including those of `MelSettings`, and the analysed length.

    `seconds`: maximum length, taken from the middle of the sound; 0 for all. `shards`: number of files the items are
    distributed over, by digests of their names.
    """

    rate: Annotated[int, Meta(ge=4000, le=192_000)] = 22050
    window: Annotated[int, Meta(ge=64, le=16_384)] = 1024
    hop: Annotated[int, Meta(ge=16, le=16_384)] = 512
    bands: Annotated[int, Meta(ge=4, le=512)] = 64
    low: Annotated[float, Meta(ge=0, le=20_000)] = 30.0
    high: Annotated[float, Meta(ge=100, le=96_000)] = 10000.0
    features: Literal["mel", "melspectrogram", "cqt", "chroma", "tempogram", "musicnn"] = "mel"
    seconds: Annotated[float, Meta(ge=0, le=36_000)] = 30.0
    shards: Shards = 16

    @property
    def mel(self) -> MelSettings:
        return MelSettings(self.rate, self.window, self.hop, self.bands, self.low, self.high, self.features)


class AnalyseSettings(Table, frozen=True):
    """Settings of the step analyse.

    `analyses`: their names; empty for all; `shards`: number of files the items are distributed over.
    """

    analyses: Names = ()
    shards: Shards = 64


class PredictSettings(Table, frozen=True):
    """Settings of the step predict.

    `analyses`: the classifiers, which are analyses; empty for all. `shards`: number of files for the sounds.
    """

    path: Folder
    analyses: Names = ()
    shards: Shards = 16


class WatchSettings(Table, frozen=True):
    """Settings of `pipeline watch`.

    Attributes:
        analyses: The classifiers, which are analyses; empty for all.
        largest: Maximum bytes of a file.
        mqtt: A broker's address, "mqtt://USER@HOST:1883"; "" for none. An address with a password goes into
            ANTIPHON_MQTT_URL, which has priority.
    """

    path: Folder
    analyses: Names = ()
    queue: Annotated[int, Meta(ge=1, le=10_000)] = 64
    largest: Annotated[int, Meta(ge=1000, le=1 << 34)] = 256 << 20
    mqtt: str = ""
    topic: Annotated[
        str,
        Meta(pattern="^[^#+$\0]+$", max_length=200, description="a topic of at most 200 characters, without + # $"),
    ] = "antiphon/sounds"


class TrainSettings(Table, frozen=True):
    """Settings of the training, the same for each framework.

    Attributes:
        frameworks: Names of `FRAMEWORKS`; empty for all installed ones.
        threads: Number of CPU threads; another number may change rounding.
        labels: "one" or `SEVERAL_LABELS` per sound; "" for the more common case.
        test: Share of the sounds for the test, by group; 0 for the splits of the data set.
        valid: Share of the sounds for validation, if `test` is above 0.
        folds: Number of additional trainings, each tested on a different part of the sounds; 0 for none.
    """

    frameworks: tuple[FrameworkName, ...] = ()
    seconds: Annotated[float, Meta(ge=0.1, le=600)] = 3.0
    epochs: Annotated[int, Meta(ge=1, le=10_000)] = 20
    batch: Annotated[int, Meta(ge=1, le=4096)] = 32
    learning_rate: Annotated[float, Meta(ge=1e-7, le=1)] = 0.001
    width: Annotated[int, Meta(ge=4, le=512)] = 32
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 1
    threads: Annotated[int, Meta(ge=1, le=256)] = 1
    labels: Annotated[Literal["", "one", "several"], Meta(description='"one" or "several" of each sound')] = ""
    test: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    valid: Annotated[float, Meta(ge=0, le=0.4)] = 0.1
    folds: Annotated[int, Meta(ge=0, le=20)] = 0


class DeploySettings(Table, frozen=True):
    """Settings of the step deploy.

    `framework`: the framework of the classifier; "" for the best on the validation split. `name`: name of the analysis;
    "" for the pipeline's name.
    """

    framework: Annotated[Literal["", FrameworkName], Meta(description="sklearn, torch, keras or fastai")] = ""
    name: str = ""


class PipelineSettings(Table, frozen=True):
    """A pipeline."""

    name: Text
    out: Folder
    gather: GatherSettings
    preprocess: PreprocessSettings = PreprocessSettings()
    analyse: AnalyseSettings = AnalyseSettings()
    predict: PredictSettings | None = None
    watch: WatchSettings | None = None
    train: TrainSettings = TrainSettings()
    deploy: DeploySettings = DeploySettings()


def following(steps: Sequence[str]) -> tuple[str, ...]:
    """The later steps needed for a classifier; none after `deploy`, or if all steps are for other sounds."""
    done = [NEEDED.index(step) for step in steps if step in NEEDED]
    return NEEDED[max(done) + 1 :] if done else ()


def load(path: Path) -> PipelineSettings:
    """Reads `pipeline.toml`. Paths in it are relative to its folder.

    Raises `FileError`: it cannot be read, or has an invalid value; the message names the line and the key.
    """
    text = ""
    try:
        if path.stat().st_size > LARGEST:
            raise FileError(f"{path} has more than {LARGEST} bytes: it is no pipeline")
        text = path.read_text("utf-8")
        made = _build_pipeline_settings(tomllib.loads(text), path.parent)
    except Misfit as misfit:
        raise FileError(f"{place_in_toml(str(path), text, misfit.path)}: {misfit.what}") from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {reason_of_os_error(error)}") from None
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is not TOML: {error}") from None
    if made.preprocess.features not in (MEL, features.MUSICNN):
        require_modules(f"{path}: preprocess.features = {short_repr(made.preprocess.features)}", ["librosa"])
    return made


def _build_pipeline_settings(found: dict[str, Any], folder: Path) -> PipelineSettings:
    tables = {key: table for key, table in found.items() if isinstance(table, dict)}
    if not found.get("gather"):  # new sounds alone, which are in one folder
        places = [tables[key].get("path") for key in ("predict", "watch") if key in tables]
        if places and places[0]:
            found["gather"] = tables["gather"] = {"dataset": "folder", "path": places[0]}
    if "name" in found:
        found.setdefault("out", found["name"])
    for table in (found, *tables.values()):
        table.update({key: folder / table[key] for key in ("out", "path") if isinstance(table.get(key), str)})
    if "preprocess" in tables:
        named = tables["preprocess"].get("features", MEL)
        found["preprocess"] = {**features.FEATURES.get(str(named), {}), **tables["preprocess"]}
    made = convert_fields(found, PipelineSettings, "a pipeline")
    try:
        layout_of(made.gather.dataset)
    except UsageError as error:
        raise Misfit(("gather", "dataset"), str(error)) from None
    _check_preprocess(made.preprocess)
    if made.train.folds == 1:
        raise Misfit(("train", "folds"), "takes 2 to 20, or 0 for none, not 1")
    if "seconds" not in tables.get("train", {}) and made.preprocess.seconds:
        shorter = min(made.train.seconds, made.preprocess.seconds)
        made = structs.replace(made, train=structs.replace(made.train, seconds=shorter))
    if fault := _excerpt_fault(made.train.seconds, made.preprocess):
        raise Misfit(("train", "seconds"), f"is {made.train.seconds:g}, {fault}")
    return made


def _check_preprocess(chosen: PreprocessSettings) -> None:
    if chosen.hop > chosen.window:
        raise Misfit(
            ("preprocess", "hop"),
            f"is {chosen.hop}; at most the window of {chosen.window}, or sound is left out",
        )
    if not chosen.low < chosen.high <= chosen.rate / 2:
        given = f"low {chosen.low:g}, high {chosen.high:g} and rate {chosen.rate}"
        raise Misfit(("preprocess",), f"has {given}; low must be below high, and high at most half of rate")
    if fault := features.fault(chosen.mel):
        raise Misfit(("preprocess",), f"has features {chosen.features} and {fault}")


def _excerpt_fault(seconds: float, chosen: PreprocessSettings) -> str:
    frames = excerpt_frames(seconds, chosen.mel)
    if chosen.seconds and seconds > chosen.seconds:
        return f"and preprocess.seconds is only {chosen.seconds:g}"
    if frames < MIN_FRAMES:
        return f"{frames} frames; at least {MIN_FRAMES} are needed"
    if frames * chosen.bands > MAX_VALUES:
        return f"{frames} frames of {chosen.bands} bands; {MAX_VALUES} numbers are allowed"
    return ""


def excerpt_frames(seconds: float, mel: MelSettings) -> int:
    return max(0, round(seconds * mel.rate) - mel.window) // mel.hop + 1


def chosen_steps(text: str) -> tuple[str, ...]:
    """Named steps in order. Raises `UsageError`: a name is unknown."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    if not names or (others := names - set(STEPS)):
        unknown = f"there is no step {short_repr(sorted(others)[0])}" if names else "no step is named"
        near = suggest(sorted(others)[0], STEPS) if names else ""
        raise UsageError(f"{unknown}; {near}the steps are {', '.join(STEPS)}, separated by commas")
    return tuple(step for step in STEPS if step in names)
