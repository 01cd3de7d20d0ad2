"""Registered analyses of plugins, and their application to one sound."""

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.files import audiofile
from antiphon.files.audiowrite import AudioWriter
from antiphon.files.decode import Decoder
from antiphon.files.temporary import temporary_folder
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import AntiphonError, FileError, PluginError
from antiphon.kernel.plugins.hook_lists import factories
from antiphon.kernel.runtime import extras
from antiphon.kernel.runtime.importing import Factory, reason_of
from antiphon.kernel.runtime.notices import collect
from antiphon.kernel.runtime.shortening import shorten
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.runtime.terms import spell
from antiphon.signal.analysis import EACH, Analysis, AnalysisRun, SeparatingAnalysis, check_quantities, plain_result
from antiphon.signal.listening_mix import ListeningMix

MAX_REASON = 300
STEMS = "stems"
"""Name of the analysis that separates stems."""
AnalysisResult = tuple[int, Mapping[str, Any] | None, str]
"""Result of an analysis: version, values or None, and the reason for None."""


class AnalysisRegistry(Mapping[str, Analysis]):
    """Analyses by name. Each is made when it is first asked for; those whose factory fails are left out.

    `find`: finds the factories of others, when a name is not among `factories`, or all names are asked for. `reasons`:
    by name, why a factory failed that was called.
    """

    def __init__(self, factories: Mapping[str, Factory], find: Callable[[], Mapping[str, Factory]] = dict) -> None:
        self._placed, self._find = factories, find
        self._analyses: dict[str, Analysis] = {}
        self.reasons: dict[str, str] = {}

    @cached_property
    def _factories(self) -> Mapping[str, Factory]:
        return {**self._find(), **self._placed}

    def __getitem__(self, name: str) -> Analysis:
        factories = self._placed if name in self._placed else self._factories
        if name in factories and name not in self._analyses and name not in self.reasons:
            try:
                self._analyses[name] = check_quantities(name, factories[name]())
            except Exception as error:
                self.reasons[name] = reason_of(error)
        return self._analyses[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._factories if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def analyses() -> Mapping[str, Analysis]:
    """Analyses of all plugins by name, without those whose factory fails; `named_analyses` states why."""
    return _registry()


@cache
def _registry() -> AnalysisRegistry:
    return AnalysisRegistry(factories("analyses"), lambda: factories("services").get("classifiers", dict)())


def analyse_file(
    path: bytes,
    names: Collection[str],
    progress: Callable[[float], None] = lambda _: None,
    remark: Callable[[str], None] = lambda _: None,
) -> dict[str, AnalysisResult]:
    """Decodes a file once, block by block, and feeds it to analyses.

    `progress`: called after each block with the finished seconds. `remark`: called with remarks on how the file was
    analysed. Returns by name the version, and the values or None with the reason. Raises FileError: the file cannot be
    read.
    """
    with collect() as notices:
        with Decoder(Path(os.fsdecode(path))) as decoder:
            found = analyse_decoded(decoder, names, progress, remark=remark)
            name = decoder.name
        for phrase in notices.take(name, beside=False):
            remark(f"it was read {phrase}".removesuffix(f" of {spell('source')}"))
    return found


def analyse_decoded(
    decoder: Decoder,
    names: Collection[str],
    progress: Callable[[float], None] = lambda _: None,
    also: Callable[[Samples], None] = lambda _: None,
    beats: int = 0,
    remark: Callable[[str], None] = lambda _: None,
) -> dict[str, AnalysisResult]:
    """Does what `analyse_file` does, for an open decoder; `also` gets each block too.

    `beats`: number of beats in the sound; 0 if unknown.
    """
    present = analyses()
    rate, channels = decoder.info.rate, decoder.info.channels
    form = rate, channels, beats, decoder.path, decoder.info.mask
    feeds = {n: AnalysisFeed(n, present[n], *form) for n in names if not present[n].stem}
    apart = [name for name in names if present[name].stem]

    def whole() -> Iterator[Samples]:
        frames = 0
        for block in decoder.blocks():
            also(block)
            for feed in feeds.values():
                feed.take(block)
            frames += block.shape[1]
            progress(frames / rate)
            yield block

    blocks = whole()
    results = _analyse_separated_parts(apart, blocks, rate, channels) if apart else {}
    for _ in blocks:  # what is left where nothing takes it apart
        pass
    results |= {name: feed.end() for name, feed in feeds.items()}
    if any(feed.mix is not None and feed.mix.cancelled for feed in feeds.values()):
        remark(ListeningMix.CANCELLED)
    return {name: results[name] for name in names}


def _analyse_separated_parts(
    names: Collection[str], blocks: Iterator[Samples], rate: int, channels: int
) -> dict[str, AnalysisResult]:
    present, feeds = analyses(), dict[str, AnalysisFeed]()
    try:
        found = separator()
        chosen = {name: _places(found.parts, present[name].stem) for name in names}
        feeds = {name: AnalysisFeed(name, present[name], rate, len(places)) for name, places in chosen.items()}
        mixes = [ListeningMix() for _ in found.parts]
        for stems in found.separate(blocks, rate, channels):
            flat = np.stack([mix.take(stem) for mix, stem in zip(mixes, stems, strict=True)])
            for name, feed in feeds.items():
                feed.take(flat[chosen[name]])
    except AntiphonError as error:
        if isinstance(error, FileError):
            raise
        return {name: (present[name].version, None, shorten(str(error), MAX_REASON)) for name in names}
    return {name: feed.end() for name, feed in feeds.items()}


def _places(parts: Sequence[str], stem: str) -> list[int]:
    """Indices of an analysis's stems among the parts of a sound."""
    if stem != EACH and stem not in parts:
        raise PluginError(f"there is no stem {stem!r}; there are {', '.join(parts)}")
    return [n for n, part in enumerate(parts) if stem in (EACH, part)]


def separator() -> SeparatingAnalysis:
    """The separating analysis. Raises PluginError: there is none."""
    found = analyses().get(STEMS)
    if not isinstance(found, SeparatingAnalysis):
        raise PluginError(f"no plugin takes sounds apart: there is no analysis {STEMS!r}")
    return found


class AnalysisFeed:
    """Adapter of one analysis to one sound: converts rate and channels, and catches exceptions as reasons.

    `beats`, `file`, `mask`: as in `AnalysisRun`. `mix`: mixes the channels to one, for analyses of mono sound.
    `faulty`: whether the analysis failed, rather than the sound.
    """

    def __init__(
        self, name: str, analysis: Analysis, rate: int, channels: int, beats: int = 0, file: str = "", mask: int = 0
    ) -> None:
        self._name, self._analysis, self._problem = name, analysis, ""
        self.faulty = False
        self.mix = ListeningMix() if analysis.channels == 1 and channels > 1 else None
        self._resampled: Any = None
        wanted = analysis.rate or rate
        self._channels = given = 1 if analysis.channels == 1 else channels
        if wanted != rate:
            import soxr

            self._resampled = soxr.ResampleStream(rate, wanted, given, dtype="float32")
        self._run: AnalysisRun | None = None
        self._guarded(lambda: setattr(self, "_run", analysis.begin(wanted, given)))
        if self._run is not None:
            self._run.beats, self._run.file, self._run.mask = beats, file, mask if given == channels else 0

    def take(self, block: Samples) -> None:
        """Processes the next decoded block."""
        if self._problem:
            return
        if self.mix is not None:
            block = self.mix.take(block)[None]
        if self._resampled is not None:
            block = np.ascontiguousarray(self._resampled.resample_chunk(np.ascontiguousarray(block.T)).T)
        self._feed(block)

    def end(self) -> AnalysisResult:
        """Returns the result, or the reason for none."""
        if self._resampled is not None and not self._problem:
            last = self._resampled.resample_chunk(np.zeros((0, self._channels), np.float32), last=True)
            self._feed(np.ascontiguousarray(last.T))
        values: dict[str, Any] = {}
        self._guarded(lambda: values.update(plain_result(self._name, self._analysis, self._active.result())))
        return self._analysis.version, None if self._problem else values, self._problem

    def _feed(self, block: Samples) -> None:
        if block.shape[1]:
            self._guarded(lambda: self._active.feed(block))

    @property
    def _active(self) -> AnalysisRun:
        assert self._run is not None
        return self._run

    def _guarded(self, task: Callable[[], Any]) -> None:
        """Runs plugin code; an exception becomes the reason for no result."""
        if self._problem:
            return
        try:
            task()
        except AntiphonError as error:
            self.faulty = isinstance(error, PluginError)  # its weights, for one
            self._problem = shorten(str(error), MAX_REASON)
        except Exception as error:
            self.faulty = True
            missing = extras.of_error(f"the analysis {self._name!r}", error) if isinstance(error, ImportError) else ""
            reason = missing or f"the analysis {self._name!r} failed: {type(error).__name__}: {error}"
            self._problem = shorten(" ".join(reason.split()), MAX_REASON)


def named_analyses(names: Collection[str], *, of_short: bool = False) -> tuple[str, ...]:
    """Names of these analyses; () for all not run by name only; `of_short` adds those for sounds up to `longest`.

    Raises PluginError: there is none of a name.
    """
    present = analyses()
    for name in names:
        if name not in present:
            if reason := _registry().reasons.get(name):
                raise PluginError(f"the analysis {name!r} cannot be made: {reason}")
            raise PluginError(f"there is no analysis {name!r}{instead(name, sorted(present))}")
    if names:
        return tuple(names)
    return tuple(n for n, each in present.items() if not each.by_name or (of_short and each.longest < math.inf))


def separate_blocks(blocks: Iterable[Samples], rate: int, channels: int) -> tuple[tuple[str, ...], Iterator[Samples]]:
    """Separates a sound in bounded memory.

    `blocks`: float32 `[channels, n]`. Returns the names of the parts, and blocks `[parts, channels, n]`, which add up
    to the sound. Raises PluginError: no plugin separates sounds.
    """
    found = separator()
    return found.parts, found.separate(blocks, rate, channels)


@contextmanager
def separated_file(
    source: Path, part: str, progress: Callable[[float], None] = lambda _: None
) -> Iterator[tuple[Path, Path]]:
    """Context with two files: one part of a sound, and all others, with its rate, channels and length.

    `part`: its name: "voice". `progress`: takes the finished fraction. Raises FileError: the sound cannot be read.
    Raises PluginError: no plugin separates sounds, or none into such a part.
    """
    with temporary_folder() as folder, audiofile.stream(source) as (info, blocks):
        own, rest = folder / "part.wav", folder / "rest.wav"
        parts, stems = separate_blocks(blocks, info.rate, info.channels)
        place = _places(parts, part)[0]
        with (
            AudioWriter(own, info.rate, info.channels, "FLOAT") as writer,
            AudioWriter(rest, info.rate, info.channels, "FLOAT") as others,
        ):
            for block in stems:
                alone = block[place]
                writer.write(alone)
                others.write(block.sum(axis=0) - alone)
                if info.frames:
                    progress(min(1.0, writer.frames / info.frames))
        yield own, rest
