"""Rows of the catalogue as text."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from antiphon.api.backends.files import printable_path
from antiphon.api.backends.runtime import ASKER, shorten
from antiphon_library.commands.commands import (
    AnalysedSound,
    AnalysedSounds,
    ForgottenFiles,
    IdentifiedRecordings,
    LearnedPairs,
    PlacedTracks,
    SoundingTrack,
)
from antiphon_library.commands.options import add_root_option
from antiphon_library.operations import ChosenSounds, EmptyLibrary, FoundSounds, ListedSounds
from antiphon_library.scanning import ScanCounts
from antiphon_library.shard_import import ImportCounts

MAX_WIDTH = 60
"""Maximum characters of a title or a path in a table."""
MIN_SCORE = 0.005
"""Minimum score not printed as 0.00."""
EMBEDDED, ANALYSED = "embedded tags", "results of analyses"
"""Headings of file metadata and of computed values."""


def clock(seconds: float | None) -> str:
    """Duration as "3:07", "-" if unknown."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields a line for each summary: length, tempo and key with their confidence, kind, names, problem.

    A row's score or confidence, if it has one, comes first; the reason for its match comes last.
    """
    for row in rows:
        tempo = "-" if row["tempo"] is None else f"{row['tempo']:.0f}"
        title = " - ".join(text for text in (row["artist"], row["title"]) if text)
        wrong = row["problem"] or ("missing" if row["missing"] else "")
        first = next((f"{row[name]:5.2f}  " for name in ("score", "confidence") if row.get(name) is not None), "")
        # a reason names the file in full
        parts = [shorten(title, MAX_WIDTH), "" if row["path"] in wrong else _end_of(row["path"]), wrong]
        words = "  ".join(part for part in (*parts, "; ".join(row.get("why", ()))) if part)
        sure = [_sure(row[f"{name}_confidence"]) for name in ("tempo", "key")]
        found = f"{tempo:>4}{sure[0]}  {row['key'] or '-':<8}{sure[1]}  {row['kind'] or '-':<8}"
        yield f"{first}{clock(row['duration']):>7}  {found}  {words}"


def lines_of_list(answer: ListedSounds) -> Iterator[str]:
    """Lines of the files of a library."""
    none = "none; antiphon library add FOLDER adds sound files" if isinstance(answer, EmptyLibrary) else "none"
    yield from table(answer.files) if answer.files else (none,)


def lines_of_sound(answer: Any) -> Iterator[str]:
    """Lines of one file in full."""
    yield from card(msgspec.to_builtins(answer))


def card(row: Mapping[str, Any]) -> Iterator[str]:
    """Lines of one file in full."""
    yield row["path"]
    lines: list[tuple[str, str]] = []
    if row["problem"]:
        lines.append(("problem", row["problem"]))
    if row["missing"]:
        lines.append(("missing", "the file is not there any more"))
    if row["duration"] is not None:
        channels = "1 channel" if row["channels"] == 1 else f"{row['channels']} channels"
        lines.append(("length", f"{clock(row['duration'])}, {row['rate']} Hz, {channels}"))
    if row["kind"]:
        lines.append(("kind", f"{row['kind']}{_sure(row['kind_confidence'])}"))
    tags = [(name, shorten(text, 100)) for name, text in row["tags"].items()]
    results: list[tuple[str, str]] = []
    for name, found in row["analyses"].items():
        if found["problem"]:
            results.append((name, found["problem"]))
        values = found["values"] or {}
        if name == "loop" and row["kind"] != "loop":  # what it would be as a loop
            values = {key: values[key] for key in ("loop_confidence", "loop_ending", "no_loop") if values.get(key)}
        results += [(quantity, shortened_value(value)) for quantity, value in values.items()]
    widest = max((len(name) for name, _ in (*lines, *tags, *results)), default=0)
    yield from (f"  {name:<{widest + 2}}  {text}" for name, text in lines)
    # a tag and a quantity may have one name, as genre
    for heading, part in ((EMBEDDED, tags), (ANALYSED, results)):
        if part:
            yield f"  {heading}"
        yield from (f"    {name:<{widest}}  {text}" for name, text in part)


def reasons(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Line for each path with its score and reasons."""
    for row in rows:
        yield f"{row['score']:5.2f}  {_end_of(row['path'])}  {'; '.join(row['why'])}"


def fitting(answer: FoundSounds) -> Iterator[str]:
    """Yields lines of loops with a score that is not .00 when rounded, and a line about the others."""
    good = [row for row in answer.matches if row["score"] >= MIN_SCORE]
    yield from table(good) if good and "duration" in good[0] else reasons(good)  # a server tells less
    if not good:
        yield "nothing fits"
    elif len(good) < len(answer.matches):
        yield "all others have the score .00"


def lines_of_found(answer: FoundSounds) -> Iterator[str]:
    """Yields lines of the found files."""
    yield from table(answer.matches) if answer.matches else ("none",)


def lines_of_chosen(answer: ChosenSounds) -> Iterator[str]:
    """Yields lines of the found files, and one about those that were left out."""
    yield from lines_of_found(answer)
    if answer.left_out:
        yield f"{answer.left_out} more with --all: what ships, loops in a playlist, single notes, speech, ambience"


def shortened_value(value: Any) -> str:
    """Value shortened for a line: of a list its length and its first items."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, str):
        return value
    if not value:
        return "none"
    if isinstance(value[0], list) and len(value[0]) == 2:
        return ", ".join(f"{label} {probability:.2f}" for label, probability in value)
    if isinstance(value[0], list):
        head = ", ".join(f"{clock(start)} {label}" for start, _, label in value[:6])
    else:
        head = ", ".join("-" if number is None else f"{number:.2f}" for number in value[:6])
    return f"{len(value)}: {head}{', ...' if len(value) > 6 else ''}"


def _sure(confidence: float | None) -> str:
    """Confidence as " .87", four characters; blank if unknown."""
    return "    " if confidence is None else f" {confidence:.2f}".replace(" 0", " ").replace(" 1.00", " 1.0").ljust(4)


def _end_of(path: str) -> str:
    return path if len(path) <= MAX_WIDTH else "..." + path[3 - MAX_WIDTH :]


def lines_of_added(counts: ScanCounts | ImportCounts) -> Iterator[str]:
    """Returns a line about the added files; adds a complaint about unreadable ones."""
    if isinstance(counts, ImportCounts):
        words = [f"{counts.added:,} sounds added with their results"]
        words += [f"{counts.known:,} that were known have them now"] if counts.known else []
        words += [f"{counts.unknown:,} are not here"] if counts.unknown else []
        yield ", ".join(words)
        return
    words = [f"{n} {word}" for word, n in asdict(counts).items() if word != "problems" and n]
    yield ", ".join(words) or "no sound files there"
    _complain_of_unreadable(counts.bad)


def _complain_of_unreadable(count: int) -> None:
    if count:
        said = f"{count} of them cannot be read; `antiphon library list --bad` says why"
        ASKER.get().complaints.append(add_root_option(said))


def lines_of_analysis(found: AnalysedSounds | AnalysedSound) -> Iterator[str]:
    """Yields lines of an analysis; adds a complaint about unreadable files."""
    if isinstance(found, AnalysedSound):
        yield from card(found.row.full())
        return
    counts = found.counts
    others = f", {counts.shared} by another `antiphon library analyse`" if counts.shared else ""
    yield f"{counts.analysed} analysed, {counts.known} known{others}"
    _complain_of_unreadable(found.bad)


def lines_of_recordings(found: IdentifiedRecordings | SoundingTrack) -> Iterator[str]:
    """Line for each file: score, position, path, and whether it is another recording of the piece; or what sounds."""
    if isinstance(found, SoundingTrack):
        where = f"at {clock(found.position)}  {found.paths[0]}" if found.paths else "nothing that is known"
        yield f"{time.strftime('%H:%M:%S')}  {where}"
        return
    for match in found.matches:
        speed = "" if match.speed == 1.0 else f"  at {match.speed:.2%} of its speed"
        where = f"-{clock(-match.offset)}" if match.offset < -0.5 else clock(max(0.0, match.offset))
        piece = "" if match.kind == "recording" else "  the same piece, another recording"
        yield f"{match.score:5.2f}  from {where:>7}  {printable_path(os.fsdecode(match.path))}{speed}{piece}"
    if not found.matches:
        yield "unknown"


def lines_of_forgotten(answer: ForgottenFiles) -> Iterator[str]:
    """Returns a line with the number of forgotten files."""
    yield f"{answer.forgotten} forgotten"


MAX_NAMED = 5
"""Maximum files named in a sentence."""


def lines_of_map(found: PlacedTracks) -> Iterator[str]:
    """Yields lines about a map: the tracks on it, the tracks missing, and its genres."""
    chart, short = found.chart, found.short
    yield f"{len(chart.tracks)} tracks, {len(chart.artists)} artists, {len(chart.genres)} genres on the map"
    if found.trust is not None:
        yield f"trustworthiness {found.trust:.3f} at k = 10; two principal components {found.flat:.3f}"
    if found.pending:
        yield add_root_option(f"{found.pending} not on it: `antiphon library analyse` analyses them first")
    if short:
        more = f" and {len(short) - MAX_NAMED} more" if len(short) > MAX_NAMED else ""
        yield f"{len(short)} cannot be placed, for they are silent or too short: {', '.join(short[:MAX_NAMED])}{more}"
    for genre in chart.genres[:30]:
        yield f"  {genre['name']}: {genre['tracks']}"


def lines_of_pairs(answer: LearnedPairs) -> Iterator[str]:
    """Returns a line about the pairs learned from logs."""
    yield f"{answer.lists} lists, {answer.tracks} of your tracks in them, {answer.pairs} pairs learned"
