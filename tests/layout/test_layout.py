"""Layouts of control surfaces: what a finger on each control sends is what the server takes, as it takes it."""

import json
import math
from collections.abc import Iterator
from typing import Any

import py2tosc
import pytest
from py2tosc.control import Control as ToscControl

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param
from antiphon.kernel.control.subscribers.feedback import osc_value_of
from antiphon.kernel.graph.patch import Patch, load as load_patch
from antiphon.kernel.plugins.loader import load
from antiphon.layout.controls import MAX_CONTROLS, MAX_TABS, Page, Widget, pages
from antiphon.layout.stage_control import to_session
from antiphon.layout.touchosc import HEIGHT, WIDTH, layout, to_tosc
from antiphon.operations.patch_list import names

MOST_BYTES = 1 << 18
PHONE = min(844 / WIDTH, 390 / HEIGHT)
"""Scale of a layout on a phone of 844 by 390 points, as it is held to play."""
THUMB = 40.0
"""Points that a finger hits; the platforms' guidelines ask for 44 to 48, where there is room."""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load(check=False).catalog


def senders(document: py2tosc.Document) -> Iterator[tuple[ToscControl, py2tosc.OscMessage]]:
    for widget in document.walk():
        for message in widget.messages:
            assert isinstance(message, py2tosc.OscMessage)
            yield widget, message


def sent(message: py2tosc.OscMessage, x: float) -> list[float | int]:
    """What TouchOSC sends for a position: constants, and `x` scaled to the message's range."""
    arguments: list[float | int] = []
    for partial in message.arguments:
        number = (
            float(partial.value)
            if partial.type == "CONSTANT"
            else (partial.scale_min + x * (partial.scale_max - partial.scale_min))
        )
        arguments.append(round(number) if partial.conversion == "INTEGER" else number)
    return arguments


def address(message: py2tosc.OscMessage) -> str:
    return "".join(str(partial.value) for partial in message.path)


def varied_patches(catalog: Catalog) -> list[Patch]:
    """The largest patches that ship, without those whose types of nodes and number of macros are all in larger ones."""
    seen, found = set[str](), list[Patch]()
    every = (load_patch(name, catalog) for name in names())
    for patch in sorted(every, key=lambda patch: -len(patch.graph.nodes)):
        types = {node.type for node in patch.graph.nodes} | {f"{len(patch.graph.macros)} macros"}
        if not types <= seen:
            seen |= types
            found.append(patch)
    return found


def test_every_patch_has_a_layout_without_faults_and_a_place_for_each_parameter(catalog: Catalog) -> None:
    for patch in varied_patches(catalog):
        divided = pages(patch, catalog)
        assert all(len(page.controls) <= MAX_CONTROLS for page in divided)
        content = to_tosc(patch.name, divided)
        assert len(content) < MOST_BYTES
        document = py2tosc.loads(content)
        assert document.validate() == []
        wanted = {
            f"/node/{node.name}/{param.name}"
            for node in patch.graph.nodes
            for param in catalog[node.type].cells
            if not param.readonly and param.kind not in ("text", "file")
        }
        addresses = {address(message).removesuffix("/norm") for _, message in senders(document)}
        assert wanted <= addresses
        assert {"/node/in/gain", "/node/out/gain", "/tempo", "/panic"} <= addresses
        for widget, _ in senders(document):
            on_phone = [side * PHONE for side in (widget.frame.w, widget.frame.h)]
            assert min(on_phone) >= THUMB, (widget.get("name"), on_phone)
        for pager in (w for w in document.walk() if w.control_type == "PAGER"):
            assert len(pager.children) <= MAX_TABS
            assert pager.get("tabbarSize") * PHONE >= THUMB
        assert feedback_is_understood(to_session(patch.name, divided), patch, catalog) >= wanted
    assert [c.id for c in document.walk()] == [c.id for c in layout(patch.name, divided).walk()]


def feedback_is_understood(session: str, patch: Patch, catalog: Catalog) -> set[str]:
    """Checks that what the server sends for each parameter is a value that its widget can show; their addresses."""
    params = {
        f"/node/{node.name}/{param.name}": param for node in patch.graph.nodes for param in catalog[node.type].cells
    }
    found = set()
    for widget in widgets_of(json.loads(session)["content"]):
        param = params.get(widget.get("address", ""))
        if param is None:
            continue
        found.add(widget["address"])
        if param.kind == "trigger":
            continue
        for value in param.choices or (param.from_norm(0.0), param.from_norm(1.0)):
            shown = osc_value_of(param, value)
            if widget["type"] == "switch":
                assert shown in widget["values"].values()
            elif widget["type"] == "button":
                assert shown in (widget["on"], widget["off"])
            else:
                assert widget["range"]["min"] <= float(shown) <= widget["range"]["max"]  # type: ignore[arg-type]
    return found


def widgets_of(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every widget of a session, on tabs and tabs of tabs."""
    for tab in entry.get("tabs", []):
        yield from tab.get("widgets", [])
        yield from widgets_of(tab)


def test_what_a_patchs_controllers_move_is_on_a_page_of_its_own(catalog: Catalog) -> None:
    patch = load_patch("keys", catalog)
    play = next(page for page in pages(patch, catalog) if page.name == "play")
    macros = len(patch.graph.macros)
    assert [control.label for control in play.controls][macros:] == ["room wet", "lid cutoff", "keys level"]
    assert [control.address for control in play.controls][macros:][:2] == ["/node/room/wet", "/node/lid/cutoff"]


def test_two_macros_are_a_pad_and_a_set_is_recorded_and_gone_through(catalog: Catalog) -> None:
    made = pages(load_patch("glass", catalog), catalog)
    (pad,) = [widget for widget in layout("glass", made).walk() if widget.control_type == "XY"]
    assert [address(message) for message in pad.messages] == ["/node/macro/bright", "/node/macro/hollow"]
    (xy,) = [
        widget for widget in widgets_of(json.loads(to_session("glass", made))["content"]) if widget["type"] == "xy"
    ]
    assert xy["split"] == ["/node/macro/bright", "/node/macro/hollow"]
    sends = {address(message) for _, message in senders(layout("glass", made))}
    assert {"/record/start", "/record/stop", "/capture", "/set/next", "/set/previous"} <= sends


def faders() -> Page:
    params = [
        Param("level", default=-20.0, low=-60.0, high=12.0),
        Param("cutoff", default=1000.0, low=20.0, high=20000.0, warp="log"),
        Param("bars", "int", 8, 1, 64),
        Param("mode", "choice", "b", choices=("a", "b", "c")),
        Param("words", "choice", "w7", choices=tuple(f"w{n}" for n in range(12))),
        Param("hold", "switch", True),
    ]
    kinds = {"choice": "choice", "switch": "switch"}
    controls = [Widget(kinds.get(p.kind, "fader"), p.name, f"/node/x/{p.name}", p, p.default) for p in params]  # type: ignore[arg-type]
    return Page("x", (*controls, Widget("button", "go", "/node/x/go", arguments=(1,))), ())


def test_both_ends_of_a_fader_are_the_ends_of_the_range_and_it_begins_at_the_value() -> None:
    page = faders()
    widgets = {w.get("name"): (w, m) for w, m in senders(layout("X", [page]))}
    for control in page.controls:
        widget, message = widgets[control.label]
        param = control.param
        if param is None:
            assert sent(message, 1.0) == [1]
            assert [t.condition for t in message.triggers] == ["RISE"], "once, and nothing at the release"
            continue
        x = widget.value("x").default
        steps = range(len(param.choices)) if widget.control_type == "RADIO" else (0.0, 1.0)
        if address(message).endswith("/norm"):
            assert [param.from_norm(sent(message, n)[0]) for n in (0.0, 1.0)] == [
                param.from_norm(0.0),
                param.from_norm(1.0),
            ]
            value = param.from_norm(sent(message, x)[0])
        else:
            values = [param.check(sent(message, n)[0]) for n in steps]
            ends = param.choices if param.choices else (param.from_norm(0.0), param.from_norm(1.0))
            assert values == list(ends)
            value = param.check(sent(message, x)[0])
        assert value == (pytest.approx(param.default, rel=1e-4) if param.kind == "float" else param.default)


def test_a_logarithmic_fader_shows_feedback_at_its_place() -> None:
    widget = next(w for w, _ in senders(layout("X", [faders()])) if w.get("name") == "cutoff")
    script = str(widget.get("script"))
    low, span = 20.0, math.log(1000.0)
    assert "message[1] == '/node/x/cutoff'" in script
    assert f"math.log(message[2][1].value / {low!r}) / {span!r}" in script


def test_a_key_begins_its_note_and_ends_it() -> None:
    document = layout("X", [Page("keyboard", keys=(60, 61))])
    keys = [message for _, message in senders(document)]
    assert [address(m) for m in keys] == ["/note/on"] * 2
    assert [sent(m, 1.0) for m in keys] == [[60, 100], [61, 100]]
    assert [sent(m, 0.0) for m in keys] == [[60, 0], [61, 0]]


def test_a_name_with_marks_of_xml_is_read_as_it_was() -> None:
    title = "A & B <c> ]]> 'd' \"e\" \1"
    name = py2tosc.loads(to_tosc(title, [faders()])).root.get("name")
    assert name == "A & B <c> ]] > 'd' \"e\" "


def test_a_session_of_open_stage_control_has_the_ranges_and_words_of_the_parameters() -> None:
    session = json.loads(to_session("X", [faders(), Page("keyboard", keys=(60,))]))
    assert (session["type"], session["content"]["type"]) == ("session", "root")
    first, keyboard = session["content"]["tabs"]
    widgets = {w["address"].rpartition("/")[2]: w for w in first["widgets"]}
    assert widgets["level"]["range"] == {"min": -60.0, "max": 12.0}
    assert (widgets["cutoff"]["logScale"], widgets["level"]["logScale"]) == (True, False)
    assert (widgets["bars"]["decimals"], widgets["bars"]["typeTags"]) == (0, "i")
    assert (widgets["mode"]["values"], widgets["mode"]["default"]) == ({"a": "a", "b": "b", "c": "c"}, "b")
    assert (widgets["hold"]["on"], widgets["hold"]["default"]) == (1, 1)
    assert keyboard["widgets"][0]["preArgs"] == [60]
    ids = [w["id"] for tab in session["content"]["tabs"] for w in tab["widgets"]]
    assert len(ids) == len(set(ids))
