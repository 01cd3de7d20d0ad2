"""What is done when the library is asked for sounds."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from antiphon.api import FileError, UsageError
from antiphon.api.backends.files import write_atomic
from antiphon.api.backends.runtime import SERVER, instead
from antiphon_library import vector_file
from antiphon_library.commands.options import catalogue_paths, open_catalogue, row_of
from antiphon_library.fitting import LabelSearch, fitting_summaries, key_named, shared_traits
from antiphon_library.operations import (
    SIGNALS,
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
from antiphon_library.records import SUMMARY
from antiphon_library.vector_file import OTHER_KIND, QUANTITY, WEIGHED, vector_of


def listed(asked: ListRequest) -> ListedSounds:
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


def shown(asked: ShowRequest) -> ShownSound:
    """All that is known of a file. Raises UsageError: it is not in the library."""
    with open_catalogue() as catalogue:
        return ShownSound(**row_of(catalogue, Path(asked.file)).full())


def search(asked: SearchRequest) -> FoundSounds:
    """The files that are asked for. Raises UsageError: something of it is not allowed."""
    low, high = _range(asked.tempo)
    key = key_named(asked.key) if asked.key else ""
    if asked.sure is not None and not (key or asked.tempo or asked.tag or asked.kind):
        raise UsageError("--sure is for --key, --tempo, --tag and --kind; give one of them too")
    labels = LabelSearch(asked.tag, asked.sure)
    matches = []
    with open_catalogue() as catalogue:
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
    return FoundSounds(matches)


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
        if vector_of(target) is None:
            if QUANTITY in target.values:
                raise UsageError(f"{file.name[:120]} is like no other: it is silent or too short")
            raise UsageError(f"{file.name[:120]} has not been analysed; `antiphon library analyse` does that")
        root, state = catalogue.path.parent, vector_file.state_of(catalogue.path)
        table = vector_file.load(root, state)
        if table is None:
            table = vector_file.table_of(catalogue.rows(only=(QUANTITY,)))
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
"""Maximum loops that a server answers by OSC, and its timeout in seconds: the sound is analysed."""


def fits(asked: Fits) -> FoundSounds:
    """The loops that go with one, or with what a server plays: that of `SERVER`, where it is asked from elsewhere.

    From elsewhere no file is opened that the catalogue lacks, and each match has its `id`. Raises UsageError: there is
    no such sound in it, or it is no loop; EngineError, WireError: a server does not answer, or refuses.
    """
    ask = SERVER.get()
    live = asked.live or (ask is not None and asked.file is None)
    if live == (asked.file is not None):
        raise UsageError("name a loop, or give --live for what a server plays")
    if live and asked.beats:
        raise UsageError("--beats says how many FILE holds; of what a server plays they are known")
    matches = _fitting_now(asked) if live else []
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


def _fitting_now(asked: Fits) -> list[dict[str, Any]]:
    """`path`, `score` and `why` of the loops of a server's library that go with the last bars of a node."""
    ask = SERVER.get() or partial(_ask_running, asked.host, asked.osc_port)
    values = ask("/library/fits", min(asked.count, MAX_FITTING), asked.node)
    rows = zip(values[::3], values[1::3], values[2::3], strict=True)
    return [{"path": path, "score": round(score, 4), "why": why.split(", ")} for path, score, why in rows]


def _ask_running(host: str, port: int | None, address: str, *args: Any) -> Sequence[Any]:
    """What a running server replies. Raises EngineError: none answers; WireError: it refuses."""
    from antiphon.api.backends.cli import ask_server, osc_port

    typed = [("s" if isinstance(one, str) else "i", one) for one in args]
    (reply,) = ask_server(address, typed, host, osc_port(port, None, host), timeout=FITTING_SECONDS)
    return reply.args


def following(asked: Next) -> FoundSounds:
    """The tracks that come next, after signals about others are stored.

    Raises UsageError: a file is not in the catalogue, or there is nothing to choose from.
    """
    from antiphon_library.taste.choosing import next_summaries

    writes = asked.forget or any(getattr(asked, kind) != () for kind in SIGNALS) or asked.after is not None
    with open_catalogue(write=writes) as catalogue:
        if asked.forget:
            catalogue.taste.delete_signals()
        found = FoundSounds(next_summaries(catalogue, asked))
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
        raise UsageError(f"--tempo takes a number or a range as 118-124, not {text[:40]!r}") from None
