"""`antiphon words`: the words of live scripts with an example of each, or those that match a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from antiphon.cli.option_records import Json
from antiphon.cli.terminal.progress import echo_answer, style_text
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.suggestion import suggest

if TYPE_CHECKING:
    from antiphon.live.reference import Entry


def words(
    text: Annotated[
        str, argument("A word; or a text, for the words that it stands in the line of.", "[TEXT]", placed=True)
    ] = "",
    as_json: Json = False,
) -> None:
    """List the words of live scripts by chapter, each with an example; TEXT shows those that it names."""
    from antiphon.live.patterns.words.table import UNSUPPORTED_WORDS
    from antiphon.live.reference import entries

    found = matching(text, entries())
    lacking = {name: place for name, place in UNSUPPORTED_WORDS.items() if not text or name.lower() == text.lower()}
    if not found and not lacking:
        near = suggest(text, [name for entry in entries() for name in entry.names])
        raise UsageError(f"there is no word {text!r}; {near}antiphon words lists all")
    lines = (line if line.startswith(" ") else style_text(line, "head") for line in listing(found, lacking))
    echo_answer(as_json, {"words": [entry.plain() for entry in found], "not_here": lacking}, lines)


def matching(text: str, entries: Sequence[Entry]) -> list[Entry]:
    """The word of that name in any spelling; or those with the text in their name or description."""
    asked = text.lower()
    exact = [entry for entry in entries if asked in (name.lower() for name in entry.names)]
    return exact or [entry for entry in entries if asked in " ".join((*entry.names, entry.doc)).lower()]


def listing(entries: Sequence[Entry], lacking: Mapping[str, str]) -> Iterator[str]:
    """Lines of the list: a chapter's title, and below it each word, its description, and examples."""
    from antiphon.live.reference import CHAPTERS

    for group, title in CHAPTERS.items():
        chapter = [entry for entry in entries if entry.group == group]
        if chapter:
            yield title
        for entry in chapter:
            yield f"  {' '.join(entry.names)}  {entry.doc}"
            if entry.example:
                yield f"      {entry.example}"
    if lacking:
        yield "Words of Tidal and Strudel that are not here"
    for name, place in sorted(lacking.items()):
        yield f"  {name}  {place}"
