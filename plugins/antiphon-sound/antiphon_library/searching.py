"""Search operations of the library."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import SHARP_NAMES, FileError, UsageError
from antiphon.api.backends.analysis import analyses
from antiphon.api.backends.files import Decoder, printable_path, write_atomic
from antiphon.api.backends.runtime import ASKER, instead, short_repr, shorten
from antiphon.api.backends.signal import KEY_NAMES
from antiphon.api.jobs import spell
from antiphon.signal.fit_vector import FIT, HARMONY
from antiphon_library import vector_file
from antiphon_library.catalogue import Catalogue
from antiphon_library.commands.options import catalogue_paths, open_catalogue, row_of
from antiphon_library.operations import (
    SIGNALS,
    ChosenSounds,
    EmptyLibrary,
    Fits,
    FoundSounds,
    ListedSounds,
    ListRequest,
    Next,
    SearchRequest,
    ShownSound,
    ShowRequest,
    SimilarRequest,
)
from antiphon_library.records import NO_MUSIC, SUMMARY, UNHEARD, findings
from antiphon_library.scanning import identify_and_analyse
from antiphon_library.schema import shipped_folders
from antiphon_library.vector_file import OTHER_KIND, QUANTITY, WEIGHED, sound_feature_vector

# ---- Compatibility of two loops (mashability), with reasons: by the analysis `fit`, else by one rule

CLASSES = len(SHARP_NAMES)
"""Pitch classes."""
_KEY = re.compile(r"([A-Ha-h])(#|♯|♭|is|b|es|(?<=[AEae])s)?[\s_:.-]*([a-z]*)", re.I)
_NATURAL = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11, "h": 11}
_MODES = {"minor": ("m", "mi", "min", "minor", "moll"), "major": ("maj", "major", "dur")}
_WHEEL = re.compile(r"(1[0-2]|[1-9])([ABabdm])")
"""A place on the wheels of DJ programs: 8A and 8B of Camelot, 1m and 1d of Open Key, are A minor and C major."""
ALLOWED = 'a key is written as "A minor", "Am", "a", "Bb major", "F#m", "h-Moll", "8A" or "1m"'


def key_named(text: str) -> str:
    """Key named by a text, as "Bb minor": a note of A to H, # or b, and the mode.

    Modes are m, min, minor, moll, maj, major or dur in any case, but M for major. Without a mode a capital is major, a
    small letter minor. With moll and dur names are German: B is a semitone below H. Places on the wheels of DJ programs
    are keys too: "8A", "1m". Raises `UsageError`: it names none.
    """
    if (wheel := _WHEEL.fullmatch(text.strip())) is not None:
        minor = wheel[2] in "Aam"
        fifths = int(wheel[1]) - (8 if wheel[2] in "ABab" else 1)
        return KEY_NAMES[(7 * fifths + 9 * minor) % 12 + 12 * minor]
    match = _KEY.fullmatch(text.strip())
    if match is not None:
        note, accidental, word = match[1], (match[2] or "").casefold(), match[3]
        if word:
            mode = "major" if word == "M" else next((m for m, said in _MODES.items() if word.casefold() in said), "")
        else:
            mode = "minor" if note.islower() else "major"
        place = _NATURAL[note.casefold()] + {"": 0, "#": 1, "♯": 1, "is": 1}.get(accidental, -1)
        if note in "Bb" and not accidental and word.casefold() in ("moll", "dur"):
            place -= 1
        if mode:
            return KEY_NAMES[place % 12 + 12 * (mode == "minor")]
    raise UsageError(f"{spell('key')} does not understand {short_repr(text)}: {ALLOWED}")


MIN_PROBABILITY = 0.2
"""Default minimum probability of a label; a classifier's first label always counts."""
MAX_TEMPO_DEVIATION = 0.04
"""Maximum relative difference of tempos that count as equal for mixing."""


class LabelSearch:
    """Search for sounds by labels of any classifier: all of `labels`, each at least `sure`, else `MIN_PROBABILITY`.

    `quantities`: all quantities of kind labels; `seen`: all labels found.
    """

    def __init__(self, labels: Sequence[str], sure: float | None) -> None:
        self._labels, self._sure = labels, sure
        self.seen: set[str] = set()
        self.quantities = tuple(
            quantity.name
            for analysis in (analyses().values() if labels else ())
            for quantity in analysis.quantities
            if quantity.kind == "labels"
        )

    def confidence(self, values: Mapping[str, Any]) -> float | None:
        """Minimum probability of the labels in one sound, by its values; None if one is missing."""
        best: dict[str, float] = {}
        for quantity in self.quantities:
            for place, (label, probability) in enumerate(values.get(quantity) or ()):
                self.seen.add(label)
                least = MIN_PROBABILITY if self._sure is None else self._sure
                if probability >= least or (place == 0 and self._sure is None):
                    best[label] = max(best.get(label, 0.0), probability)
        return min(best[label] for label in self._labels) if best.keys() >= set(self._labels) else None


def shared_traits(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Common traits of two summaries, in words: "124 bpm", "A minor", "loop"."""
    found = []
    if one["tempo"] and other["tempo"] and abs(other["tempo"] / one["tempo"] - 1.0) <= MAX_TEMPO_DEVIATION:
        found.append("same tempo")
    found += [f"same {name}" for name in ("key", "kind", "artist", "genre") if one[name] and one[name] == other[name]]
    return found


F64 = NDArray[np.float64]
QUANTITIES = (
    *("fit", "fit_bpm", "fit_density", "fit_register"),
    *("loop_bpm", "loop_chroma", "loop_pattern", "loop_pitch"),
)
"""Compared quantities."""
TEMPO, RULE = 40.0, (3.6, 1.3, -2.4)
"""Weights relative to an octave of tempo: of chroma, of onsets, and their offset.

Fitted by logistic regression on validation songs, with a partner against 49 others and altered copies of it."""
MAX_SECONDS = 60.0
"""Maximum length of a loop in seconds."""
_NO_LOOPS = ("one-shot", "speech", "voice")
"""Kinds excluded from results. Sustained sounds, or sounds without a clear beat, may be loops and are kept."""
_FILE_ANALYSES = ("fit", "loop", "music", "genre", "character")
"""Analyses of a file outside the catalogue: compared quantities, and those that determine its kind."""
_APART, _DENSER = 7.0, 2.0
"""Minimum difference of registers in semitones, and ratio of densities, to be mentioned."""
_INTERVALS = ("", "a semitone", "a tone", "a minor third", "a major third", "a fourth", "a tritone")


class FitProfile:
    """Features of a sound for comparison.

    `stated`: whether `findings` states a tempo, so that `bpm` is certain. `density`: onsets per beat, or None.
    `register`: a MIDI number, or None. `harmony`: `[beats, 12]` or `[1, 12]`, of total length 1 times a weight; zeros
    for drums. `learnt`: whether the features come from `fit`.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Reads the values of a sound by quantity, with its `findings`; `KeyError` if it is no analysed loop."""
        vector = values.get("fit")
        self.learnt = vector is not None and len(vector) > HARMONY
        self.bpm = float(_value(values, "fit_bpm" if self.learnt else "loop_bpm"))
        self.stated = values.get("tempo") is not None
        self.density, self.register = values.get("fit_density"), values.get("fit_register", values.get("loop_pitch"))
        if vector is not None and self.learnt:
            self.harmony = np.asarray(vector[:HARMONY], np.float64).reshape(CLASSES, -1).T
            self.rhythm = np.asarray(vector[HARMONY:], np.float64)
        else:
            self.harmony = _unit(np.asarray(values.get("loop_chroma") or [0.0] * CLASSES))[None]
            self.rhythm = _unit(np.asarray(_value(values, "loop_pattern")))

    def score(self, other: FitProfile) -> float:
        """Compatibility, 0 to 1. Both profiles must have a fit vector, or neither."""
        chroma, onsets = float((self.harmony * other.harmony).sum()), float(self.rhythm @ other.rhythm)
        chroma_weight, onset_weight, offset = FIT if self.learnt else RULE
        logit = chroma_weight * chroma + onset_weight * onsets + offset
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, logit - TEMPO * tempo_distance(self.bpm, other.bpm)))))

    def fit_reasons(self, other: FitProfile) -> list[str]:
        """Reasons for or against the other sound, in words."""
        beats = self.stated and other.stated
        found = [self._tempo(other) if beats else "tempo unknown"]
        turns = [float((self.harmony * np.roll(other.harmony, -n, axis=1)).sum()) for n in range(CLASSES)]
        if any(turns):
            best = int(np.argmax(turns))
            up = best if best <= CLASSES // 2 else best - CLASSES
            found.append("key fits" if up == 0 else f"key {_INTERVALS[abs(up)]} too {'high' if up > 0 else 'low'}")
        if beats:
            spread = float(np.linalg.norm(self.rhythm) * np.linalg.norm(other.rhythm)) + 1e-9
            found.append("groove fits" if float(self.rhythm @ other.rhythm) / spread > 0.0 else "groove differs")
        if beats and self.density and other.density and not 1 / _DENSER < other.density / self.density < _DENSER:
            found.append("denser" if other.density > self.density else "sparser")
        if self.register is not None and other.register is not None:
            apart = other.register - self.register
            found += ["higher register" if apart > 0 else "lower register"] if abs(apart) >= _APART else []
        return found

    def _tempo(self, other: FitProfile) -> str:
        octaves = math.log2(other.bpm / self.bpm)
        off = 2.0 ** (octaves - round(octaves)) - 1.0
        if abs(off) <= MAX_TEMPO_DEVIATION:
            return "same tempo"
        return f"tempo {100 * abs(off):.0f} % {'quicker' if off > 0 else 'slower'}"


def tempo_distance(one: float, other: float) -> float:
    """Distance of two tempos in octaves beyond `MAX_TEMPO_DEVIATION`; half and double tempo are the same."""
    octaves = abs(math.log2(other / one))
    return max(0.0, abs(octaves - round(octaves)) - math.log2(1.0 + MAX_TEMPO_DEVIATION))


def rank(values: Mapping[str, Any], others: Mapping[bytes, Mapping[str, Any]]) -> list[tuple[bytes, float, list[str]]]:
    """Sounds by path with score and reasons, in descending order of compatibility.

    The quantities of each sound, with its `findings`, are compared. Raises `UsageError`: the sound is no loop, or has
    not been analysed.
    """
    found = []
    rule = {name: value for name, value in values.items() if not name.startswith("fit")}
    profiles: dict[bool, FitProfile] = {}
    for given in (values, rule):
        try:
            profile = FitProfile(given)
        except KeyError:
            continue
        profiles[profile.learnt] = profile
    if not profiles:
        raise UsageError("it is silent, or no loop of 1 to 60 s; what goes together is known of loops alone")
    for path, given in others.items():
        try:
            other = FitProfile(given)
            if other.learnt and True not in profiles:
                other = FitProfile({name: value for name, value in given.items() if not name.startswith("fit")})
            own = profiles[other.learnt]
        except KeyError:
            continue
        found.append((path, own.score(other), own.fit_reasons(other)))
    return sorted(found, key=lambda row: (-row[1], row[0]))


def _value(values: Mapping[str, Any], name: str) -> Any:
    if values.get(name) is None:
        raise KeyError(name)
    return values[name]


def _unit(vector: F64) -> F64:
    out: F64 = vector - vector.mean()
    return np.asarray(out / (np.linalg.norm(out) + 1e-9))


def _seconds(path: bytes) -> float:
    """Length stated by a file, 0 if unstated. Raises `FileError`: it cannot be read."""
    with Decoder(os.fsdecode(path)) as decoder:
        return (decoder.frames or 0) / decoder.rate


def _fit_vector_tuple(values: Mapping[str, Any]) -> tuple[float, ...] | None:
    vector = values.get("fit")
    return None if vector is None else tuple(vector)


def fitting_summaries(catalogue: Catalogue, path: bytes, count: int, beats: int = 0) -> list[dict[str, Any]]:
    """Returns a catalogue's loops most compatible with a file: the summary of each, its `score` and `why`, best first.

    A file that the catalogue lacks, or has no analysis of, is analysed now without storing results. `beats`: number of
    beats in the file, 0 if unknown. Raises `UsageError`: it is no loop, or none in the catalogue has been analysed;
    `FileError`: it cannot be read.
    """
    rows = {row.path: row for row in catalogue.rows(only=(*QUANTITIES, *SUMMARY)) if not (row.missing or row.problem)}
    own = rows.pop(path, None)
    values, duration = (own.values, own.duration or 0.0) if own is not None else ({}, _seconds(path))
    if duration > MAX_SECONDS:
        values = {}  # a minute of a song may fit, which minute is not known
    elif beats or (values.get("fit") is None and values.get("loop_bpm") is None):
        sound, _, results = identify_and_analyse(path, [name for name in _FILE_ANALYSES if name in analyses()], beats)
        values = {name: value for _, found, _ in results.values() for name, value in (found or {}).items()}
        duration = sound.duration
    values = {**values, **findings(duration, values)}
    if values["kind"] == "speech":
        values = {}
    vector = values.get("fit")
    # a copy of a sound under another name is no other loop: what is computed of it is the same to the last digit
    others: dict[bytes, Mapping[str, Any]] = {}
    seen = {_fit_vector_tuple(values)} if vector is not None else set()
    for where, row in sorted(rows.items()):
        theirs = {**row.values, **findings(row.duration, {**UNHEARD, **row.values})}
        # chords that move without a beat do not go with bars
        if theirs["kind"] in _NO_LOOPS or (theirs["kind"] == "song" and theirs["tempo"] is None):
            continue
        if (mine := _fit_vector_tuple(theirs)) is None or mine not in seen:
            seen.add(mine)
            others[where] = theirs
    try:
        found = rank(values, others)[:count]
    except UsageError as error:
        raise UsageError(f"{shorten(printable_path(os.fsdecode(os.path.basename(path))), 120)}: {error}") from None
    if not found:
        raise UsageError(
            f"the library {catalogue.path} has no other analysed loop; `antiphon library analyse` finds them"
        )
    return [{**rows[where].summary(), "score": round(score, 4), "why": why} for where, score, why in found]


def list_sounds(asked: ListRequest) -> ListedSounds:
    """The files, or those of these files and folders. Raises UsageError: one of them is not in the library."""
    files = [Path(file) for file in asked.files]
    found = []
    with open_catalogue() as catalogue:
        for number, place in enumerate(catalogue_paths(files)):
            rows = list(catalogue.rows(path=place, only=SUMMARY))
            if files and not rows and not os.path.isdir(files[number]):
                row_of(catalogue, files[number])
            found += [row.summary() for row in rows if row.problem or not asked.bad]
    return ListedSounds(found) if found or files or asked.bad else EmptyLibrary([])


def show_sound(asked: ShowRequest) -> ShownSound:
    """Returns all that the library knows of a file. Raises UsageError: it is not in the library."""
    with open_catalogue() as catalogue:
        return ShownSound(**row_of(catalogue, Path(asked.file)).full())


def search(asked: SearchRequest) -> ChosenSounds:
    """Returns the files that match a request: one's own music, with `all` every sound, of a given kind that alone.

    Raises UsageError: a part of the request is invalid.
    """
    low, high = _range(asked.tempo)
    key = key_named(asked.key) if asked.key else ""
    if asked.sure is not None and not (key or asked.tempo or asked.tag or asked.kind):
        raise UsageError(
            f"{spell('sure')} is for {spell('key')}, {spell('tempo')}, {spell('tag')} and {spell('kind')}; "
            "give one of them too"
        )
    labels = LabelSearch(asked.tag, asked.sure)
    matches, left_out = [], 0
    with open_catalogue() as catalogue:
        choose = not asked.all and catalogue.taste.has_own()
        shipped = tuple(shipped_folders()) if choose else ()
        others = tuple(kind for kind in NO_MUSIC if kind != asked.kind) if choose else ()
        for row in catalogue.rows(asked.words, only=(*SUMMARY, *labels.quantities)):
            summary = row.summary()
            found = [labels.confidence(row.values)] if asked.tag else []
            if asked.tempo:
                met = summary["tempo"] is not None and low <= summary["tempo"] <= high
                found.append(_confidence(summary, "tempo") if met else None)
            if key:
                found.append(_confidence(summary, "key") if summary["key"] == key else None)
            if asked.kind:
                found.append(_confidence(summary, "kind") if summary["kind"] == asked.kind else None)
            if all(confidence is not None and confidence >= (asked.sure or 0.0) for confidence in found):
                if summary["kind"] in others or row.path.startswith(shipped):
                    left_out += 1
                    continue
                summary["confidence"] = min((c for c in found if c is not None), default=None)
                matches.append(summary)
    for label in asked.tag:
        if label not in labels.seen:
            raise UsageError(
                f"none of these files has the label {label!r}{instead(label, sorted(labels.seen))}; "
                "`antiphon library analyse` finds labels"
            )
    if asked.tag:
        matches.sort(key=lambda match: -match["confidence"])
    return ChosenSounds(matches, left_out)


def _confidence(summary: Mapping[str, Any], name: str) -> float:
    """Confidence of a value; 0 where an older analysis has none."""
    return float(summary[f"{name}_confidence"] or 0.0)


def similar(asked: SimilarRequest) -> FoundSounds:
    """The files most like one. Raises UsageError: it is not in the library, or has not been analysed."""
    file = Path(asked.file)
    with open_catalogue() as catalogue:
        target = row_of(catalogue, file)
        if target.problem:
            raise FileError(target.problem)
        if sound_feature_vector(target) is None:
            if QUANTITY in target.values:
                raise UsageError(f"{file.name[:120]} is like no other: it is silent or too short")
            raise UsageError(f"{file.name[:120]} has not been analysed; `antiphon library analyse` does that")
        root, state = catalogue.path.parent, vector_file.state_of(catalogue.path)
        table = vector_file.load(root, state)
        if table is None:
            table = vector_file.make_vector_table(catalogue.rows(only=(QUANTITY,)))
            vector_file.save(root, state, table)
        number = table.row(target.path)
        if number is None:
            raise UsageError(f"{file.name[:120]} is not there any more; `antiphon library add` looks for it again")
        own = target.summary()
        matches = []
        for path, score in table.nearest(number, WEIGHED * asked.count):
            summary = row_of(catalogue, path).summary()
            less = OTHER_KIND if None not in (own["kind"], summary["kind"]) and own["kind"] != summary["kind"] else 0.0
            why = shared_traits(own, summary)
            matches.append({**summary, "score": round(max(-1.0, score - less), 4), "why": why})
    matches = sorted(matches, key=lambda row: -row["score"])[: asked.count]
    return FoundSounds(matches)


MAX_FITTING, FITTING_SECONDS = 50, 60.0
"""Maximum loops in a server's OSC answer, and its timeout in seconds, which includes the analysis of the sound."""


def fits(asked: Fits) -> FoundSounds:
    """Returns loops that fit a loop, or the sound of a running server; for remote requests, that of the asking server.

    Remote requests open no file outside the catalogue, and each match has its `id`. Raises UsageError: there is no
    such sound in it, or it is no loop; EngineError, WireError: a server does not answer, or refuses.
    """
    ask = ASKER.get().server
    live = asked.live or (ask is not None and asked.file is None)
    if live == (asked.file is not None):
        raise UsageError(f"name a loop, or give {spell('live')} for what a server plays")
    if live and asked.beats:
        raise UsageError(f"{spell('beats')} says how many FILE holds; of what a server plays they are known")
    matches = _fits_on_server(asked) if live else []
    if live and ask is None:
        return FoundSounds(matches)
    from antiphon_library.taste.choosing import catalogue_id, file_of

    with open_catalogue() as catalogue:
        if asked.file is None:
            known = [(match, catalogue.rows(path=os.fsencode(match["path"]), only=SUMMARY)) for match in matches]
            matches = [{**row.summary(), **match} for match, found in known for row in found]
        else:
            path = file_of(catalogue, asked.file)
            if ask is not None:
                catalogue_id(catalogue, path)
            matches = fitting_summaries(catalogue, path, asked.count, asked.beats)
        if ask is not None:
            matches = [{"id": catalogue_id(catalogue, os.fsencode(match["path"])), **match} for match in matches]
    return FoundSounds(matches)


def _fits_on_server(asked: Fits) -> list[dict[str, Any]]:
    """`path`, `score` and `why` of the loops of a server's library that go with the last bars of a node."""
    ask = ASKER.get().server or partial(_request_reply, asked.host, asked.osc_port)
    values = ask("/library/fits", min(asked.count, MAX_FITTING), asked.node)
    rows = zip(values[::3], values[1::3], values[2::3], strict=True)
    return [{"path": path, "score": round(score, 4), "why": why.split(", ")} for path, score, why in rows]


def _request_reply(host: str, port: int | None, address: str, *args: Any) -> Sequence[Any]:
    """What a running server replies. Raises EngineError: none answers; WireError: it refuses."""
    from antiphon.api.backends.cli import osc_port
    from antiphon.client.asking import answers as ask_server

    typed = [("s" if isinstance(one, str) else "i", one) for one in args]
    (reply,) = ask_server(address, typed, host, osc_port(port, None, host), timeout=FITTING_SECONDS)
    return reply.args


def following(asked: Next) -> ChosenSounds:
    """Stores signals about other tracks, then returns the recommended next tracks.

    Raises UsageError: a file is not in the catalogue, or there is nothing to choose from.
    """
    from antiphon_library.taste.choosing import next_summaries

    writes = asked.forget or any(getattr(asked, kind) != () for kind in SIGNALS) or asked.after is not None
    with open_catalogue(write=writes) as catalogue:
        if asked.forget:
            catalogue.taste.delete_signals()
        found = next_summaries(catalogue, asked)
    if asked.m3u:
        lines = ["#EXTM3U", *(match["path"] for match in found.matches)]
        write_atomic(Path(asked.m3u), ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"))
    return found


def _range(text: str) -> tuple[float, float]:
    """Tempo range of a text; `UsageError` for an invalid one."""
    if not text:
        return 0.0, 0.0
    low, dash, high = text.partition("-")
    try:
        first = float(low)
        last = float(high) if dash else first
        # a range is one in whichever order its ends are given
        return (min(first, last), max(first, last)) if dash else (0.98 * first, 1.02 * first)
    except ValueError:
        raise UsageError(f"{spell('tempo')} takes a number or a range as 118-124, not {text[:40]!r}") from None
