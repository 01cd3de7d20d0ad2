"""Sound analyses: computations that take a sound block by block and return typed quantities."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import PluginError
from antiphon.signal.landmarks import pack_landmarks

QuantityKind: TypeAlias = Literal["number", "text", "times", "spans", "vector", "numbers", "labels", "landmarks"]
"""number: a float. text: a string. times: seconds, ascending. spans: [start s, end s, label]. vector: floats, of one
length for every sound. numbers: floats, any count, each may be None. labels: [label, probability 0 to 1], the most
likely first. landmarks: (seconds, Hz), two arrays of one length: time-frequency points for fingerprinting."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One output quantity of an analysis. Any value may be None: not applicable, or not found.

    `name`: as catalogues and JSON have it: "tempo". `unit`: of a number, or of a vector's numbers: "bpm"; "" without
    one. Times and spans are in seconds. `label`: of a number or a text: what the page calls it, which shows those that
    have one.
    """

    name: str
    kind: QuantityKind
    unit: str = ""
    doc: str = ""
    label: str = ""


EACH = "each"
"""Value of `Analysis.stem` for an analysis that runs on every part."""


class AnalysisRun(ABC):
    """State of one sound's analysis. Its blocks come in order, of any size; the same code serves files and streams.

    `beats`: number of beats in the sound, set before `result` if known; 0 otherwise. `file`: path of the sound's file,
    set likewise; "" for a sound of no file. `mask`: the channels' speakers, as of WAVE_FORMAT_EXTENSIBLE, set before
    `feed` if known; 0 otherwise.
    """

    beats: int = 0
    file: str = ""
    mask: int = 0

    @abstractmethod
    def feed(self, block: Samples) -> None:
        """Analyses a block, float32 `[channels, n]` at the rate and with the channels of `Analysis.begin`."""

    @abstractmethod
    def result(self) -> Mapping[str, Any]:
        """Returns the quantities of all blocks so far: a value, or None, by the name of each quantity."""


class Analysis(ABC):
    """An analysis, registered by the hook `antiphon_analyses`.

    `by_name`: whether it is only computed if named: it is slow, or applies to few sounds. `longest`: maximum seconds of
    sound for which `library analyse` computes such an analysis unnamed. `stem`: its input: "" for the sound, the name
    of a part separated by the analysis `stems`, or `EACH` for all parts, one channel each, the mean of the part's
    channels.
    """

    version: ClassVar[int] = 1
    by_name: ClassVar[bool] = False
    quantities: ClassVar[tuple[Quantity, ...]] = ()
    rate: ClassVar[int | None] = None  # frames per second that it requires; None takes the sound's own
    channels: ClassVar[Literal[1] | None] = None  # 1 to be given the mean of all channels; None for the sound's own
    shortest: ClassVar[float] = 0.0  # seconds of sound that it needs at least
    longest: ClassVar[float] = math.inf
    classifier: ClassVar[bool] = False
    stem: ClassVar[str] = ""

    @property
    def labels(self) -> Sequence[str]:
        """Every label the analysis can assign; empty if unknown, or if it assigns none."""
        return ()

    @abstractmethod
    def begin(self, rate: int, channels: int) -> AnalysisRun:
        """Creates the analysis state of a new sound."""


class SeparatingAnalysis(Analysis):
    """An analysis that also separates sounds into parts."""

    parts: ClassVar[tuple[str, ...]]

    @abstractmethod
    def separate(self, blocks: Iterable[Samples], rate: int, channels: int) -> Iterator[Samples]:
        """Separates a sound into its parts.

        `blocks`: float32 `[channels, n]`, of any size. Yields float32 `[parts, channels, n]`, which add up to the
        sound.
        """


def is_classifier(analysis: Analysis) -> bool:
    """True for an analysis that can be requested alone: a classifier or labels, on the unseparated sound."""
    stated = analysis.classifier or any(quantity.kind == "labels" for quantity in analysis.quantities)
    return stated and not analysis.stem


def check_quantities(name: str, analysis: object) -> Analysis:
    """Checks the object returned by a factory of the hook."""
    if not isinstance(analysis, Analysis):
        raise PluginError(f"the factory of the analysis {name!r} gave {type(analysis).__name__}, not an Analysis")
    names = [quantity.name for quantity in analysis.quantities]
    if not names or len(set(names)) != len(names):
        raise PluginError(
            f"the analysis {name!r} states {', '.join(names) or 'nothing'}; each quantity once is allowed"
        )
    for quantity in analysis.quantities:
        if quantity.kind not in get_args(QuantityKind):
            kinds = ", ".join(get_args(QuantityKind))
            raise PluginError(f"{name}: {quantity.name} has the kind {quantity.kind!r}; there are: {kinds}")
    return analysis


def plain_result(name: str, analysis: Analysis, values: Mapping[str, Any]) -> dict[str, Any]:
    """Converts a result to JSON data, checked against the declaration.

    Returns a value for each quantity, of floats, strings and lists; landmarks as bytes (`signal.landmarks`). Raises
    PluginError: a quantity is missing or has the wrong kind.
    """
    plain = {}
    for quantity in analysis.quantities:
        try:
            value = values[quantity.name]
            plain[quantity.name] = None if value is None else _plain(quantity.kind, value)
        except (KeyError, TypeError, ValueError, IndexError):
            raise PluginError(f"the analysis {name!r} gave no {quantity.kind} for {quantity.name}") from None
    return plain


def _plain(kind: QuantityKind, value: Any) -> Any:
    match kind:
        case "number":
            return _number(value)
        case "text":
            return str(value)
        case "spans":
            return [[_number(start), _number(end), str(label)] for start, end, label in value]
        case "labels":
            return [[str(label), _number(probability)] for label, probability in value]
        case "numbers":
            return [None if number is None else _number(number) for number in value]
        case "landmarks":
            seconds, hertz = value
            return pack_landmarks(seconds, hertz)
    return _numbers(value)


def _numbers(values: Sequence[Any]) -> list[float]:
    return [_number(value) for value in values]


def _number(value: Any) -> float:
    number = round(float(value), 6)
    if not math.isfinite(number):
        raise ValueError(number)
    return number


# ---- The service `catalogue`: sounds identified by their samples, with their analysis results

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FolderSound:
    """File of a folder.

    `digest`: digest of its sound; "" for a bad file. `problem`: reason why it cannot be read; "" for a good file.
    `results`: for an analysis and its variants (`name variant`), (version, values or None, problem).
    """

    digest: str
    problem: str
    results: dict[str, tuple[int, Mapping[str, Any] | None, str]]


@dataclass(frozen=True, slots=True)
class IdentifiedFile:
    """A recognised file of the catalogue.

    `offset`: seconds into it at which the query begins. `score`: 0 to 1, significance against chance. `kind`:
    "recording", or "piece": the same notes in time, on other instruments.
    """

    path: bytes
    offset: float
    score: float
    speed: float
    number: int
    kind: str


class SoundCatalogue(Protocol):
    """Open catalogue. Every method raises `FileError` if its database cannot be used."""

    def add(self, places: Sequence[Path]) -> None:
        """Adds files, and folders recursively; unchanged ones are not read."""

    def folder_sounds(self, folder: bytes, analysis: str) -> dict[bytes, FolderSound]:
        """Files of a folder by path, with the results of an analysis and of its variants."""

    def put_results(self, digest: str, results: Mapping[str, tuple[int, Mapping[str, Any] | None, str]]) -> None:
        """Writes results of a sound: by analysis its version, its values or None, and the reason for None."""

    def identify(self, seconds: F64, hertz: F64) -> Sequence[IdentifiedFile]:
        """The files that landmarks come from, the best first; `seconds` ascend."""

    def refresh(self) -> None:
        """Updates `identify` with new analysis results."""

    def close(self) -> None:
        """Closes the catalogue."""


class CatalogueService(Protocol):
    """Interface of the service `catalogue`."""

    def exists(self, root: Path) -> bool:
        """Whether a folder holds a catalogue."""

    def open(self, root: Path) -> SoundCatalogue:
        """Opens the catalogue in a folder, creating it if missing."""
