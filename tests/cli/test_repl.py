"""The REPL without a server: what completes a line, what help says."""

from collections.abc import Mapping

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from antiphon.cli.running.conversation import AddressCompleter, Declaration, declarations, help_lines
from antiphon.kernel.control.osc.addresses import ADDRESSES
from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph.patch import load as load_patch
from antiphon.kernel.plugins.loader import load
from antiphon.web.oscquery.query import find, method


@pytest.fixture(scope="module")
def declared() -> Mapping[str, Declaration]:
    catalog = load(check=False).catalog
    graph = load_patch("throw", catalog).graph
    kinds = {node.name: catalog[node.type] for node in graph.nodes}

    def value(node: str, name: str):
        cells = kinds[node].cells if node in kinds else ()
        return next((param.default for param in cells if param.name == name), None)

    methods = tuple(method(item.path, item.args, item.doc) for item in ADDRESSES)
    return declarations(find("/", graph, catalog, value, methods) or {})


def completed(declared: Mapping[str, Declaration], line: str) -> list[str]:
    completer = AddressCompleter(lambda: declared)
    return [c.text for c in completer.get_completions(Document(line), CompleteEvent())]


def test_tab_finds_addresses_and_words(declared: Mapping[str, Declaration]) -> None:
    assert "/node/echo/feedback" in completed(declared, "/node/echo/f")
    assert all(text.startswith("/tempo") for text in completed(declared, "/tempo"))
    assert completed(declared, "/node/echo/mute o") == ["on", "off"]
    assert completed(declared, "q") == ["quit"]
    assert completed(declared, "/note/on ") == []
    assert completed(declared, "help /pan") == ["/panic"]
    assert completed(declared, "/node/echo/feedback 0.4 ") == []
    choices = [d for d in declared.values() if d.words]
    assert choices, "the patch has a choice"
    assert completed(declared, f"{choices[0].address} ") == list(choices[0].words)


def test_help_has_the_sentence_the_value_and_the_range(declared: Mapping[str, Declaration]) -> None:
    (line,) = help_lines("/node/echo/feedback", declared)
    assert line.startswith("/node/echo/feedback = ")
    assert f"({declared['/node/echo/feedback'].allowed_values})" in line
    assert line in help_lines("echo", declared)
    assert line in help_lines("feedback", declared)
    assert help_lines("/patch", declared)[0].startswith("/patch/load ")
    assert any("/note/on" in line for line in help_lines("", declared))
    with pytest.raises(UsageError, match=r"^no address has 'nonsense'; Tab lists what there is$"):
        help_lines("nonsense", declared)
    with pytest.raises(UsageError, match=r"did you mean feedback\? Tab lists"):
        help_lines("feedbak", declared)
