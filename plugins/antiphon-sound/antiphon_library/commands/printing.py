"""Rows of the catalogue as text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from antiphon.api.backends.runtime import shorten
from antiphon_library.operations import EmptyLibrary, FoundSounds, ListedSounds

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
    """Line for each summary: length, tempo and key with their confidence, kind, names, problem.

    Before them the score or the confidence of what was asked for, where a row has one; behind them why it is there.
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


def listed(answer: ListedSounds) -> Iterator[str]:
    """Lines of the files of a library."""
    none = "none; antiphon library add FOLDER adds sound files" if isinstance(answer, EmptyLibrary) else "none"
    yield from table(answer.files) if answer.files else (none,)


def shown(answer: Any) -> Iterator[str]:
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
        results += [(quantity, brief(value)) for quantity, value in values.items()]
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
    """Lines of loops with a score above .00 to two digits, and whether there are others."""
    good = [row for row in answer.matches if row["score"] >= MIN_SCORE]
    yield from table(good) if good and "duration" in good[0] else reasons(good)  # a server tells less
    if not good:
        yield "nothing fits"
    elif len(good) < len(answer.matches):
        yield "all others have the score .00"


def found(answer: FoundSounds) -> Iterator[str]:
    """Lines of the files that were found."""
    yield from table(answer.matches) if answer.matches else ("none",)


def brief(value: Any) -> str:
    """Value shortened for a line: of a list its length and its first items."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, str):
        return value
    if value and isinstance(value[0], list) and len(value[0]) == 2:
        return ", ".join(f"{label} {probability:.2f}" for label, probability in value)
    if value and isinstance(value[0], list):
        head = ", ".join(f"{clock(start)} {label}" for start, _, label in value[:6])
    else:
        head = ", ".join("-" if number is None else f"{number:.2f}" for number in value[:6])
    return f"{len(value)}: {head}{', ...' if len(value) > 6 else ''}"


def _sure(confidence: float | None) -> str:
    """Confidence as " .87", four characters; blank if unknown."""
    return "    " if confidence is None else f" {confidence:.2f}".replace(" 0", " ").replace(" 1.00", " 1.0").ljust(4)


def _end_of(path: str) -> str:
    return path if len(path) <= MAX_WIDTH else "..." + path[3 - MAX_WIDTH :]
