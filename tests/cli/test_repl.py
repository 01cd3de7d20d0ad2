"""The REPL without a server: what a line means, what completes it, what help says."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import pytest
from hypothesis import given, strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from antiphon.cli.repl.completion import AddressCompleter
from antiphon.cli.repl.declarations import Declaration, declarations
from antiphon.cli.repl.lines import Help, Quit, Send, Show, help_lines, meaning
from antiphon.kernel.control.osc.addresses import ADDRESSES
from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph.patch import load as load_patch
from antiphon.kernel.plugins.loader import load
from antiphon.web.oscquery.query import method, tree


@pytest.fixture(scope="module")
def declared() -> Mapping[str, Declaration]:
    catalog = load(check=False).catalog
    graph = load_patch("throw", catalog).graph
    kinds = {node.name: catalog[node.type] for node in graph.nodes}

    def value(node: str, name: str):
        cells = kinds[node].cells if node in kinds else ()
        return next((param.default for param in cells if param.name == name), None)

    methods = tuple(method(item.path, item.args, item.doc) for item in ADDRESSES)
    return declarations(tree(graph, catalog, value, methods))


def completed(declared: Mapping[str, Declaration], line: str) -> list[str]:
    completer = AddressCompleter(lambda: declared)
    return [c.text for c in completer.get_completions(Document(line), CompleteEvent())]


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("", None),
        ("  # nothing", None),
        ("/note/on 60 100", Send("/note/on", ("60", "100"))),
        ("/patch/save 'two words'", Send("/patch/save", ("two words",))),
        ("panic", Send("/panic")),
        ("echo feedback 0.4", Send("/node/echo/feedback", ("0.4",))),
        ("echo feedback", Send("/node/echo/feedback")),
        ("help", Help()),
        ("? echo feedback", Help("echo feedback")),
        ("quit", Quit()),
        ("exit", Quit()),
        ("q", Quit()),
        ("echo.feedback 0.4", Send("/node/echo/feedback", ("0.4",))),
        ("tempo 100", Send("/tempo", ("100",))),
        ("note on 60 100", Send("/note/on", ("60", "100"))),
        ("patch load keys", Send("/patch/load", ("keys",))),
        ("node list", Send("/node/list")),
        ("play", Send("/transport/play")),
        ("stop", Send("/transport/stop")),
        ("nodes", Show("nodes")),
        ("status", Show("status")),
    ],
)
def test_a_line_means(declared: Mapping[str, Declaration], line: str, meant: object) -> None:
    assert meaning(line, declared) == meant


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/patch/save 'two", "a quote is not closed"),
        ("ecko feedback 0.4", "there is no node and no command 'ecko'; did you mean echo? the nodes are: again, "),
        ("hello", "there is no node and no command 'hello'; the nodes are: again, .*; type help"),
        ("recall 1", "did you mean scene recall? the nodes"),
        ("note 60", "'note 60' is no command; these begin so: note watch, note on, note off, "),
        ("patch", "'patch' is no command; these begin so: patch load, "),
        ("echo.feedbak 1", "'feedbak' is no parameter of echo; did you mean feedback?"),
        ("echo feedbak 0.4", "'feedbak' is no parameter of echo; did you mean feedback?"),
        ("echo", "say which parameter of echo"),
    ],
)
def test_a_mistake_is_a_sentence(declared: Mapping[str, Declaration], line: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason.replace("?", r"\?")):
        meaning(line, declared)


@given(line=st.text(max_size=60))
def test_any_line_means_something_or_is_a_sentence(line: str) -> None:
    declared = {"/node/echo/feedback": Declaration("/node/echo/feedback", "Of the echo.", "f", "0.5", 0.0, 1.0)}
    with contextlib.suppress(UsageError):
        meaning(line, declared)
    completed(declared, line)


def test_tab_finds_addresses_nodes_parameters_and_words(declared: Mapping[str, Declaration]) -> None:
    assert "/node/echo/feedback" in completed(declared, "/node/echo/f")
    assert all(text.startswith("/tempo") for text in completed(declared, "/tempo"))
    assert completed(declared, "ech") == ["echo"]
    assert completed(declared, "echo feed") == ["feedback"]
    assert completed(declared, "echo mute ") == ["on", "off"]
    assert completed(declared, "/node/echo/mute o") == ["on", "off"]
    assert completed(declared, "pan") == ["panic"]
    assert completed(declared, "tem") == ["tempo"]
    assert completed(declared, "no") == ["node", "nodes", "note", "notify"]
    assert set(completed(declared, "note ")) == {"watch", "on", "off", "pitch", "pressure", "timbre"}
    assert completed(declared, "note on ") == []
    assert completed(declared, "help echo feed") == ["feedback"]
    assert completed(declared, "help /pan") == ["/panic"]
    assert completed(declared, "/node/echo/feedback 0.4 ") == []
    choices = [d for d in declared.values() if d.words]
    assert choices, "the patch has a choice"
    assert completed(declared, f"{choices[0].address} ") == list(choices[0].words)


def test_help_has_the_sentence_the_value_and_the_range(declared: Mapping[str, Declaration]) -> None:
    (line,) = help_lines("echo feedback", declared)
    assert line.startswith("/node/echo/feedback = ")
    assert f"({declared['/node/echo/feedback'].allowed})" in line
    assert len(help_lines("echo", declared)) > 5
    assert any("/note/on" in line for line in help_lines("", declared))
    with pytest.raises(UsageError, match=r"^nothing is called 'nonsense'; help lists what there is$"):
        help_lines("nonsense", declared)
    with pytest.raises(UsageError, match=r"did you mean feedback\? help lists"):
        help_lines("feedbak", declared)


def test_help_finds_commands_and_parameters_of_any_node(declared: Mapping[str, Declaration]) -> None:
    assert help_lines("note on", declared) == help_lines("/note/on", declared)
    assert help_lines("patch", declared)[0].startswith("/patch/load ")
    assert "/node/echo/feedback" in [line.split()[0] for line in help_lines("feedback", declared)]
    assert help_lines("panic", declared)[0] == "panic: silence within one block"
    listed = "\n".join(help_lines("", declared))
    assert "The nodes are: again, " in listed
    assert "note on" in listed.partition("The commands are: ")[2]


def test_switches_and_units_are_shown_as_they_are_typed(declared: Mapping[str, Declaration]) -> None:
    assert declared["/node/echo/mute"].value == "off"
    assert declared["/node/echo/time"].allowed.endswith(" s")
    level = next(d for a, d in declared.items() if a.endswith("out/gain"))
    assert level.allowed.endswith(" dB")


def test_a_node_goes_before_a_word() -> None:
    named = {"/node/stop/gain": Declaration("/node/stop/gain", "", "f", "1"), "/tempo": Declaration("/tempo", "", "f")}
    assert meaning("stop gain 0.5", named) == Send("/node/stop/gain", ("0.5",))
    assert meaning("tempo 90", named) == Send("/tempo", ("90",))
