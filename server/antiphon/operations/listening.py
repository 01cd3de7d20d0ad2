"""`antiphon.analyse`: the results of all plugins' analyses of a sound."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.files.decode import Decoder
from antiphon.files.temporary import temporary_folder
from antiphon.kernel.errors import MissingAttribute, UsageError
from antiphon.kernel.runtime.notices import collect
from antiphon.kernel.runtime.suggestion import instead
from antiphon.offline.analyses import analyse_decoded, analyses, named_analyses
from antiphon.operations.given import check_no_rate, copy_samples, is_path, path_of, rate_of, split_words, write_sound
from antiphon.operations.python import every_plugin, progress_display
from antiphon.operations.result import Result
from antiphon.operations.wording import word_refusals


@dataclass(frozen=True, slots=True, repr=False)
class Song:
    """Analysis results of a sound. A quantity that was not requested, or not found, is None.

    Attributes:
        seconds: Length of the sound.
        values: Every quantity by name, as in `antiphon library analyse --json`; quantities are attributes too.
        confidence: Confidence of a quantity, 0 to 1, by its name: tempo, key, chords.
        reasons: By the name of an analysis without result, a sentence with the reason.
        warnings: Sentences on what was left out or mended in the sound's file.
    """

    seconds: float
    values: Mapping[str, Any]
    confidence: Mapping[str, float]
    reasons: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        known = _quantities()
        if name not in known:
            raise MissingAttribute(f"no analysis states {name!r}{instead(name, sorted(known))}")
        return self.values.get(name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self.values})

    def __repr__(self) -> str:
        words = ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in self._brief().items()
        )
        return f"<{self.seconds:.1f} s: {words or 'nothing was heard'}>"

    def _repr_html_(self) -> str:
        """Picture for a notebook: sections and chords over time, and a table of single values."""
        from antiphon.operations import result

        strips = [
            result.strip_html(spans, self.seconds)
            for name in ("sections", "chords")
            if (spans := self.values.get(name))
        ]
        return "".join([*strips, result.table_html({"seconds": round(self.seconds, 1), **self._brief()})])

    def _brief(self) -> dict[str, str | float]:
        return {name: value for name, value in self.values.items() if isinstance(value, str | float)}

    def jams(self) -> dict[str, Any]:
        """Tempo, beats, key, chords and sections as a JAMS document (Humphrey et al., ISMIR 2014), ready for `json`."""
        values, length = self.values, self.seconds
        beats, downbeats = values.get("beats") or [], values.get("downbeats") or []
        found: dict[str, list[tuple[float, float, Any, float | None]]] = {
            "tempo": [(0.0, length, values["tempo"], self.confidence.get("tempo"))] if values.get("tempo") else [],
            "beat": [(at, 0.0, place, None) for at, place in _count_beats(beats, downbeats)],
            "key_mode": [(0.0, length, _key(values["key"]), self.confidence.get("key"))] if values.get("key") else [],
            "chord": [(start, end - start, label, None) for start, end, label in values.get("chords") or []],
            "segment_open": [(start, end - start, label, None) for start, end, label in values.get("sections") or []],
            "tag_open": [(0.0, length, label, part) for label, part in values.get("tags") or []],
        }
        annotations = [
            {
                "namespace": namespace,
                "annotation_metadata": {"data_source": "program", "annotation_tools": "Antiphon"},
                "data": [
                    {"time": time, "duration": lasting, "value": value, "confidence": sure}
                    for time, lasting, value, sure in rows
                ],
                "sandbox": {},
                "time": 0.0,
                "duration": length,
            }
            for namespace, rows in found.items()
            if rows
        ]
        unknown = dict.fromkeys(("title", "artist", "release"), "")
        metadata = {"duration": length, "jams_version": "0.3.4", **unknown, "identifiers": {}}
        return {"annotations": annotations, "file_metadata": metadata, "sandbox": {}}

    def frame(self) -> Any:
        """A `pandas.DataFrame` with a row for each beat: time, beat of the bar, chord, section.

        Raises UsageError: pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped]
        except ImportError:
            raise UsageError("a frame needs pandas, which is not installed: pip install pandas") from None
        values = self.values
        rows = [
            (at, place, _label(values.get("chords"), at), _label(values.get("sections"), at))
            for at, place in _count_beats(values.get("beats") or [], values.get("downbeats") or [])
        ]
        return pandas.DataFrame(rows, columns=["time", "beat", "chord", "section"])


@word_refusals
def analyse(
    sound: Any,
    rate: float | None = None,
    /,
    *,
    only: str | Collection[str] = (),
    progress: Callable[[float], None] | bool | None = None,
) -> Song:
    """Analyses a sound by the analyses of all plugins.

    Args:
        sound: A path; or floats or integers, `[frames]` or `[channels, frames]`; or a `Result`.
        rate: Frames a second of an array.
        only: Names of quantities or of analyses, such as "tempo,key,chords"; if empty, all that `antiphon library
            analyse` computes.
        progress: See `antiphon.run`.

    Raises:
        AntiphonError: There is no such quantity, or the sound cannot be read.
    """
    every_plugin()
    names, wanted = _choose_analyses(only)
    with temporary_folder() as folder, progress_display(progress, "analyse") as shown:
        check_no_rate(sound, rate)
        if isinstance(sound, Result):
            sound, rate = sound.sound, sound.rate
        path = (
            path_of(sound)
            if is_path(sound)
            else write_sound(folder / "in.wav", copy_samples(sound), rate_of(rate, "antiphon.analyse(sound, 48000)"))
        )
        with collect() as notices, Decoder(Path(path), name="" if is_path(sound) else "the sound") as decoder:
            frames = decoder.frames
            total = None if frames is None else max(1, round(1000 * frames / decoder.rate))
            seconds = 0.0
            with shown("analyse", total, 1000) as told:

                def note(done: float) -> None:
                    nonlocal seconds
                    seconds = done
                    told.update(round(1000 * done))

                found = analyse_decoded(decoder, names, note)
            said = tuple(f"the sound was read {one}" for one in notices.take(beside=False))
    values: dict[str, Any] = {}
    for name in names:
        values |= {key: value for key, value in (found[name][1] or {}).items() if not wanted or key in wanted}
    sure = {
        name.removesuffix("_confidence"): value
        for each in found.values()
        for name, value in (each[1] or {}).items()
        if name.endswith("_confidence") and value is not None
    }
    return Song(seconds, values, sure, {name: each[2] for name, each in found.items() if each[1] is None}, said)


def _quantities() -> dict[str, str]:
    """For each quantity, the analysis that provides it by default: the first."""
    stated: dict[str, str] = {}
    for name, each in sorted(analyses().items(), key=lambda item: bool(item[1].by_name or item[1].stem)):
        for quantity in each.quantities:
            stated.setdefault(quantity.name, name)
    return stated


def _choose_analyses(only: str | Collection[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Analyses to run, and the quantities wanted from them; empty for all."""
    words = split_words(only)
    if not words:
        return named_analyses(()), frozenset()
    present, stated = analyses(), _quantities()
    names: dict[str, None] = {}
    wanted: set[str] = set()
    for word in words:
        if word in stated:
            names[stated[word]] = None
            wanted.add(word)
        elif word in present:
            names[word] = None
            wanted |= {quantity.name for quantity in present[word].quantities}
        else:
            raise UsageError(
                f"there is no quantity and no analysis {word!r}{instead(word, sorted({*stated, *present}))}"
            )
    return tuple(names), frozenset(wanted)


def _count_beats(beats: Sequence[float], downbeats: Sequence[float]) -> list[tuple[float, int]]:
    """Each beat with its number in the bar, from 1; beats before the first bar line count up to it."""
    firsts = {min(range(len(beats)), key=lambda n: abs(beats[n] - at)) for at in downbeats} if beats else set()
    counted, place = [], None
    lead = min(firsts, default=0)
    for number, at in enumerate(beats):
        place = 1 if number in firsts else (place + 1 if place is not None else None)
        counted.append((at, place if place is not None else -(lead - number)))
    bar = max((place for _, place in counted if place), default=4)
    return [(at, place if place > 0 else bar + 1 + place) for at, place in counted]


def _label(spans: Sequence[tuple[float, float, str]] | None, at: float) -> str | None:
    """Label of the span at a time."""
    if not spans:
        return None
    place = bisect_right([start for start, _, _ in spans], at + 1e-6) - 1
    return spans[place][2] if place >= 0 and at < spans[place][1] else None


def _key(text: str) -> str:
    """Converts a key to JAMS notation: "C:major"."""
    tonic, _, mode = text.partition(" ")
    return f"{tonic}:{mode or 'major'}"
