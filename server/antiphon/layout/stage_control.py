"""Writes a session for Open Stage Control: JSON, one widget for each control, a tab for each page.

Format source: the session files written by the program; omitted properties take its defaults.
"""

import json
from collections.abc import Iterable
from typing import Any

from antiphon.layout.controls import BLACK, ROW, Page, Tab, Widget, tabs

COLUMNS = 6
PANIC = "#d94033"
VERSION = "1.25.0"
"""Program version of this session format."""


def to_session(title: str, pages: Iterable[Page]) -> str:
    """Content of a `.json` session file, deterministic. `title` is the patch's name."""
    shown = [_tab(tab, number) for number, tab in enumerate(tabs(pages))]
    root = {"type": "root", "id": "root", "comments": title, "tabs": shown}
    session = {"createdWith": "Open Stage Control", "version": VERSION, "type": "session", "content": root}
    return json.dumps(session, indent=1, ensure_ascii=False) + "\n"


def _tab(tab: Tab, number: int) -> dict[str, Any]:
    """A tab with controls, or with tabs."""
    if len(tab.pages) == 1:
        return _page(tab.pages[0], f"tab_{number}")
    inner = [_page(page, f"tab_{number}_{place}") for place, page in enumerate(tab.pages)]
    return {"type": "tab", "id": f"tab_{number}", "label": tab.name, "tabs": inner}


def _page(page: Page, name: str) -> dict[str, Any]:
    return {
        "type": "tab",
        "id": name,
        "label": page.name,
        "layout": "grid",
        "gridTemplate": str(ROW if page.keys else COLUMNS),
        "colorWidget": page.colour,
        # from left to right and from top to bottom, so that the highest row of keys comes first
        "widgets": [_key(note) for row in reversed(_rows(page.keys)) for note in row]
        or [_widget(page, control) for control in page.controls],
    }


def _rows(keys: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [keys[at : at + ROW] for at in range(0, len(keys), ROW)]


def _widget(page: Page, control: Widget) -> dict[str, Any]:
    param = control.param
    common = {"id": f"{page.name}/{control.label}", "address": control.address, "colorWidget": page.colour}
    if control.kind == "xy":
        return _pad(control, common)
    if param is not None and control.kind == "choice":
        # words, not their indices: the server sends words, by which the switch finds its place
        return {
            "type": "switch",
            **common,
            "values": {word: word for word in param.choices},
            "mode": "tap",
            "typeTags": "s",
            "default": str(control.value),
            "html": control.label,
        }
    if param is not None and control.kind == "switch":
        return {
            "type": "button", **common, "label": control.label, "mode": "toggle", "on": 1, "off": 0, "typeTags": "i",
            "default": int(bool(control.value)),
        }  # fmt: skip
    if param is not None:
        whole = param.kind == "int"
        unit = f" {param.unit}" if param.unit else ""
        return {
            "type": "fader", **common, "html": f"{control.label}{unit}", "design": "compact",
            "range": {"min": param.low, "max": param.high}, "logScale": param.warp == "log", "default": control.value,
            "decimals": 0 if whole else 4, "steps": "", "typeTags": "i" if whole else "f",
        }  # fmt: skip
    arguments = list(control.arguments)
    return {
        "type": "button",
        **common,
        "label": control.label,
        "mode": "tap",
        "ignoreDefaults": True,
        "on": arguments[0] if arguments else None,
        "off": None,
        **({"colorWidget": PANIC} if control.label == "panic" else {}),
    }


def _pad(control: Widget, common: dict[str, str]) -> dict[str, Any]:
    """An XY pad of two parameters."""
    second, place = control.arguments
    axis = {"min": 0, "max": 1}
    return {
        "type": "xy", **common, "split": [control.address, second], "html": control.label, "rangeX": axis,
        "rangeY": axis, "default": [control.value, place], "decimals": 4, "typeTags": "ff",
    }  # fmt: skip


def _key(note: int) -> dict[str, Any]:
    """Button of a note: velocity 100 on press, 0 on release, which ends the note."""
    return {
        "type": "button", "id": f"note {note}", "label": str(note), "address": "/note/on", "preArgs": [note],
        "mode": "push", "on": 100, "off": 0, "typeTags": "ii", "colorWidget": "#555" if note % 12 in BLACK else "auto",
    }  # fmt: skip
