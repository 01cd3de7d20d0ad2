"""What a typed line means: a message, a word of the REPL's own, or a mistake with a sentence."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from antiphon.cli.repl.declarations import Declaration
from antiphon.errors import UsageError
from antiphon.runtime.suggestion import instead

HELP = """\
/node/echo/feedback 0.4     sends a message; the value is shown without arguments
echo feedback 0.4           the same, by the node's and the parameter's name
help [what]                 this, or the sentence and range of an address or a node
panic                       silence within one block; F12 does so at any time
quit                        ends the REPL; the server plays on
Tab completes addresses, parameters and words; Up finds earlier lines."""
OWN = {
    "help": "what can be typed, or what an address does",
    "panic": "silence within one block",
    "quit": "ends the REPL; the server plays on",
}
"""The REPL's own words, with a sentence each."""


@dataclass(frozen=True, slots=True)
class Send:
    """A message: its address and the words of its arguments."""

    address: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Help:
    """A question; `topic` is "" for all."""

    topic: str = ""


@dataclass(frozen=True, slots=True)
class Quit:
    """The end."""


def meaning(line: str, declared: Mapping[str, Declaration]) -> Send | Help | Quit | None:
    """Reads a line.

    Args:
        line: As typed.
        declared: The addresses there are.

    Returns:
        What it asks for; None for an empty line or a comment (`#`).

    Raises:
        UsageError: It is none of these, or a quote is not closed.
    """
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        raise UsageError("a quote is not closed") from None
    if not words:
        return None
    first, *rest = words
    match first:
        case "help" | "?":
            return Help(" ".join(rest))
        case "quit" | "exit":
            return Quit()
        case "panic":
            return Send("/panic")
    if first.startswith("/"):
        return Send(first, tuple(rest))
    return _named(first, rest, declared)


def _named(node: str, rest: list[str], declared: Mapping[str, Declaration]) -> Send:
    """A node and its parameter, by their names."""
    nodes = {address.split("/")[2] for address in declared if address.startswith("/node/") and address.count("/") > 2}
    if node not in nodes:
        raise UsageError(f"there is no node {node!r}{instead(node, sorted(nodes), 'the nodes are')}; help lists all")
    params = [address.rpartition("/")[2] for address in declared if address.startswith(f"/node/{node}/")]
    if not rest or rest[0] not in params:
        what = f"{rest[0]!r} is no parameter of {node}" if rest else f"say which parameter of {node}"
        raise UsageError(f"{what}{instead(rest[0] if rest else '', params, 'it has')}")
    return Send(f"/node/{node}/{rest[0]}", tuple(rest[1:]))


def help_lines(topic: str, declared: Mapping[str, Declaration]) -> list[str]:
    """The answer to a question.

    Args:
        topic: "", an address, the beginning of one, or a node's name.
        declared: The addresses there are.

    Raises:
        UsageError: There is nothing of that name.
    """
    if not topic:
        return HELP.splitlines()
    if topic in OWN:
        return [f"{topic}: {OWN[topic]}"]
    wanted = topic if topic.startswith("/") else f"/node/{'/'.join(topic.split())}"
    matches = [d for a, d in declared.items() if a == wanted or a.startswith(f"{wanted}/")]
    if not matches:
        raise UsageError(f"nothing is called {topic!r}{instead(wanted, list(declared), 'there are')}")
    return [_line(each) for each in matches]


def _line(declaration: Declaration) -> str:
    parts = [declaration.address, declaration.value and f"= {declaration.value}",
             declaration.allowed and f"({declaration.allowed})", declaration.doc]  # fmt: skip
    return " ".join(part for part in parts if part)
