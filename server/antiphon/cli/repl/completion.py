"""Completion of a line: addresses, then the words or the range of the parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from antiphon.cli.repl.declarations import Declaration
from antiphon.cli.repl.lines import OWN, commands, node_names

SWITCH = ("on", "off")


class AddressCompleter(Completer):
    """Completes by the declarations of the moment."""

    def __init__(self, declared: Callable[[], Mapping[str, Declaration]]) -> None:
        self._declared = declared

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yields what can stand at the end of the text before the cursor."""
        before = document.text_before_cursor
        words = before.split()
        last = "" if not words or before.endswith(" ") else words.pop()
        for text, doc in self._candidates(words, last):
            if text.startswith(last):
                yield Completion(text, start_position=-len(last), display_meta=doc)

    def _candidates(self, words: list[str], last: str) -> Iterable[tuple[str, str]]:
        declared = self._declared()
        if not words or words == ["help"]:
            if last.startswith("/"):
                yield from ((a, _meta(d)) for a, d in declared.items())
                return
            # a node goes before a word of the REPL's own, and that before a command
            named = {**dict(_parts([], declared)), **OWN, **dict.fromkeys(node_names(declared), "node")}
            yield from sorted(named.items())
            return
        if words[0] == "help":
            words = words[1:]
        address = words[0] if words[0].startswith("/") else f"/node/{words[0]}"
        if not words[0].startswith("/"):
            if words[0] not in node_names(declared):
                yield from _parts(words, declared)
                return
            if len(words) == 1:
                below = f"{address}/"
                yield from ((a[len(below) :], _meta(d)) for a, d in declared.items() if a.startswith(below))
                return
            address = f"{address}/{words[1]}"
            words = words[1:]
        if len(words) == 1 and address in declared:
            found = declared[address]
            for word in found.words or (SWITCH if found.types in ("T", "F") else ()):
                yield word, "now" if word == found.value else ""


def _parts(words: list[str], declared: Mapping[str, Declaration]) -> Iterable[tuple[str, str]]:
    """The words that continue these to a command, once each."""
    found: dict[str, str] = {}
    for command in commands(declared):
        parts = command.split()
        if parts[: len(words)] == words and len(parts) > len(words):
            whole = len(parts) == len(words) + 1
            found.setdefault(parts[len(words)], _meta(declared[f"/{'/'.join(parts)}"]) if whole else "…")
    yield from found.items()


def _meta(declaration: Declaration) -> str:
    value = f"{declaration.value}  " if declaration.value else ""
    allowed = f"{declaration.allowed}. " if declaration.allowed else ""
    return f"{value}{allowed}{declaration.doc}"
