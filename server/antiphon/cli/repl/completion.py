"""Completion of a line: addresses, then the words of the parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from antiphon.cli.repl.declarations import Declaration

OWN = {"help": "what can be typed, or what it does", "status": "how the server is", "quit": "ends the REPL"}
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
        for text, doc in self._candidates(words):
            if text.startswith(last):
                yield Completion(text, start_position=-len(last), display_meta=doc)

    def _candidates(self, words: list[str]) -> Iterable[tuple[str, str]]:
        declared = self._declared()
        if words in ([], ["help"]):
            yield from {**OWN, **{address: _meta(one) for address, one in declared.items()}}.items()
        elif len(words) == 1 and words[0] in declared:
            found = declared[words[0]]
            for word in found.words or (SWITCH if found.types in ("T", "F") else ()):
                yield word, "now" if word == found.value else ""


def _meta(declaration: Declaration) -> str:
    value = f"{declaration.value}  " if declaration.value else ""
    allowed = f"{declaration.allowed}. " if declaration.allowed else ""
    return f"{value}{allowed}{declaration.doc}"
