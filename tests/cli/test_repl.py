"""The REPL without a server: what a line means, what completes it, what help says."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from antiphon.cli.repl.completion import AddressCompleter
from antiphon.cli.repl.declarations import Declaration, declarations
from antiphon.cli.repl.lines import Help, Quit, Send, help_lines, meaning
from antiphon.control.osc.addresses import ADDRESSES
from antiphon.errors import UsageError
from antiphon.graph.patch import load as load_patch
from antiphon.plugins.loader import load
from antiphon.web.oscquery import method, tree


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
    ],
)
def test_a_line_means(declared: Mapping[str, Declaration], line: str, meant: object) -> None:
    assert meaning(line, declared) == meant


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/patch/save 'two", "a quote is not closed"),
        ("ecko feedback 0.4", "there is no node 'ecko'; did you mean echo?"),
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
    assert any("/node/" in line for line in help_lines("", declared))
    with pytest.raises(UsageError, match="nothing is called 'nonsense'"):
        help_lines("nonsense", declared)
