"""What a typed line means: a message, a word of the REPL's own, or a mistake with a sentence."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from antiphon.cli.repl.declarations import Declaration
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.suggestion import instead, list_names, suggest

HELP = """\
echo feedback 0.4           sets a parameter of a node; without a value, shows it
note on 60 100              sends a command; /note/on 60 100 is the same, and so is any other address
help [what]                 this, or the sentence and range of a node, a parameter or a command
nodes, status               the patch's nodes and their types; how the server is
play, stop                  starts and stops the beat
panic                       silence within one block; F12 does so at any time
quit                        ends the REPL, as Ctrl-D does; the server plays on
Tab completes names, parameters and words; Up finds earlier lines."""
OWN = {
    "help": "what can be typed, or what it does",
    "nodes": "the patch's nodes and their types",
    "status": "how the server is: the last line of the terminal",
    "play": "starts the beat",
    "stop": "stops the beat",
    "panic": "silence within one block",
    "quit": "ends the REPL; the server plays on",
}
"""The REPL's own words, with a sentence each."""
MESSAGES = {"play": "/transport/play", "stop": "/transport/stop", "panic": "/panic"}
"""Those that send a message."""


@dataclass(frozen=True, slots=True)
class Send:
    """A message: its address and the words of its arguments."""

    address: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Help:
    """A request for help; `topic` is "" for all."""

    topic: str = ""


@dataclass(frozen=True, slots=True)
class Show:
    """A request for a list of the server: "nodes" or "status"."""

    what: str


@dataclass(frozen=True, slots=True)
class Quit:
    """A request to quit."""


def meaning(line: str, declared: Mapping[str, Declaration]) -> Send | Help | Show | Quit | None:
    """Parses a typed line; None for an empty line or a comment (`#`).

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
    if first.startswith("/"):
        return Send(first, tuple(rest))
    nodes = node_names(declared)
    if first in nodes:  # a node goes before a word: a patch may have one that is called stop
        return _named(first, rest, declared)
    match first:
        case "help" | "?":
            return Help(" ".join(rest))
        case "quit" | "exit" | "q" if not rest:
            return Quit()
        case "nodes" | "status" if not rest:
            return Show(first)
        case "play" | "stop" | "panic":
            return Send(MESSAGES[first], tuple(rest))
    node, dot, param = first.partition(".")
    if dot and node in nodes:
        return _named(node, [param, *rest], declared)
    return _command(words, declared)


def node_names(declared: Mapping[str, Declaration]) -> list[str]:
    """The names of the nodes, `in` and `out` too, sorted."""
    return sorted({address.split("/")[2] for address in declared if is_of_node(address)})


def is_of_node(address: str) -> bool:
    """Whether an address is a parameter's, not a command's."""
    return address.startswith("/node/") and address.count("/") > 2


def commands(declared: Mapping[str, Declaration]) -> list[str]:
    """The commands as they can be typed: "note on", "tempo"."""
    return [address.strip("/").replace("/", " ") for address in declared if not is_of_node(address)]


def _command(words: list[str], declared: Mapping[str, Declaration]) -> Send:
    for count in range(len(words), 0, -1):
        address = "/" + "/".join(words[:count])
        if address in declared and not is_of_node(address):
            return Send(address, tuple(words[count:]))
    first, nodes, every = words[0], node_names(declared), commands(declared)
    below = [command for command in every if command.startswith(f"{first} ")]
    if below:
        raise UsageError(f"{' '.join(words[:2])!r} is no command; these begin so: {list_names(below)}")
    meant_too = [command for command in every if command.endswith(f" {first}")]
    near = f"did you mean {' or '.join(meant_too)}? " if meant_too else suggest(first, [*nodes, *every, *OWN])
    raise UsageError(f"there is no node and no command {first!r}; {near}the nodes are: {list_names(nodes)}; type help")


def _named(node: str, rest: list[str], declared: Mapping[str, Declaration]) -> Send:
    params = [address.rpartition("/")[2] for address in declared if address.startswith(f"/node/{node}/")]
    if not rest or rest[0] not in params:
        what = f"{rest[0]!r} is no parameter of {node}" if rest else f"say which parameter of {node}"
        raise UsageError(f"{what}{instead(rest[0] if rest else '', params, 'it has')}")
    return Send(f"/node/{node}/{rest[0]}", tuple(rest[1:]))


def help_lines(topic: str, declared: Mapping[str, Declaration]) -> list[str]:
    """The help on a topic: "", an address or a command, its beginning, a node's or a parameter's name.

    Raises:
        UsageError: There is nothing of that name.
    """
    if not topic:
        return [
            *HELP.splitlines(),
            f"The nodes are: {', '.join(node_names(declared))}.",
            f"The commands are: {', '.join(commands(declared))}.",
        ]
    path = topic if topic.startswith("/") else "/" + "/".join(topic.replace(".", " ").split())
    below = [d for a, d in declared.items() for w in (path, f"/node{path}") if a == w or a.startswith(f"{w}/")]
    if not topic.startswith("/") and not below:
        # of whichever node
        below = [d for a, d in declared.items() if is_of_node(a) and a.endswith(path)]
    own = [f"{topic}: {OWN[topic]}"] if topic in OWN else []
    if own:
        below = [each for each in below if is_of_node(each.address)]
    if not below and not own:
        last = {address.rpartition("/")[2] for address in declared}
        near = suggest(topic, [*node_names(declared), *commands(declared), *sorted(last)])
        raise UsageError(f"nothing is called {topic!r}; {near}help lists what there is")
    return own + [_line(each) for each in below]


def _line(declaration: Declaration) -> str:
    parts = [
        declaration.address,
        declaration.value and f"= {declaration.value}",
        declaration.allowed and f"({declaration.allowed})",
        declaration.doc,
    ]
    return " ".join(part for part in parts if part)
