"""The page by axe-core, in every room and view, and by the keyboard alone."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.chromium import TWO_FRAMES, Chromium, Tab, needs_chromium

from antiphon_bench.rig import ServerProcess

AXE = Path(__file__).parents[2] / "page/node_modules/axe-core/axe.min.js"
NO_AXE = "axe-core is missing: make page" if shutil.which("npm") else "axe-core comes by npm, and npm is not installed"
pytestmark = [
    pytest.mark.real,
    pytest.mark.untimed,
    needs_chromium,
    pytest.mark.skipif(not AXE.is_file(), reason=NO_AXE),
]

THEMES = ("light", "dark", "stage")
SIZES = {"desktop": (1440, 900), "laptop": (1280, 720), "phone": (390, 844)}
PATCH = """
format = 1
name = "Page"

[nodes.tone]

[nodes.sampler]

[nodes.mix]

[wires]
"tone" = "mix.a"
"sampler" = "mix.b"
"mix" = "out"
"""
READY = "document.querySelectorAll('.node').length > 3 && !!document.querySelector('.piano .which')"
RUN = """axe.run(document, {resultTypes: ['violations'], runOnly: RULES || undefined}).then(found =>
  found.violations.map(one => [one.id, one.help, one.nodes.slice(0, 4).map(node =>
    [node.target.join(' '), node.any[0]?.message || ''])]))"""
PICTURES = os.environ.get("ANTIPHON_PAGE_PICTURES")
"""A folder for a picture of each view, for people to look at."""


def opened(browser: Chromium, server: ServerProcess, size: str) -> Tab:
    tab = browser.tab()
    tab.size(*SIZES[size], phone=size == "phone")
    tab.go(f"http://127.0.0.1:{server.http}/#room=instrument")
    tab.until(READY)
    tab.run(AXE.read_text() + ";1")
    return tab


def dressed(tab: Tab, theme: str) -> None:
    scheme = "light" if theme == "light" else "dark"
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    on = "document.documentElement.hasAttribute('data-stage')"
    if tab.run(on) != (theme == "stage"):
        tab.run("document.querySelector('.stage').click()")
        tab.until(f"{on} === {json.dumps(theme == 'stage')}")


def names(tab: Tab, where: str) -> list[str]:
    """The names of the buttons that are shown there."""
    shown = f"[...document.querySelectorAll('{where} button')].filter(one => one.offsetParent)"
    return list(tab.run(f"{shown}.map(one => one.innerText)"))


def violations(tab: Tab, rules: str = "null") -> Any:
    """What axe finds against all its rules, or some: identifiers, what they ask for, and the first places."""
    return tab.run(RUN.replace("RULES", rules))


def press(tab: Tab, where: str, name: str) -> None:
    named = f"one => one.innerText === {json.dumps(name)}"
    tab.run(f"[...document.querySelectorAll('{where} button')].find({named}).click()")


LESSONS = "document.querySelectorAll('.lesson-paths > div').length === 4"


def lesson(tab: Tab, path: int) -> str:
    """Opens the second lesson of a path; returns its title."""
    tab.until(LESSONS)
    tab.run(f"document.querySelectorAll('.lesson-paths > div')[{path}].querySelectorAll('button')[1].click()")
    tab.until("!!document.querySelector('.lesson-text h2')")
    tab.until("!document.querySelector('.lesson-desk .editor') || !!document.querySelector('.lesson-desk .cm-content')")
    return str(tab.run("document.querySelector('.lesson-text h2').innerText"))


def views(tab: Tab) -> Iterator[str]:
    """Enters every room, and there every view, that the page has; names each."""
    for room in names(tab, ".rooms"):
        press(tab, ".rooms", room)
        tab.until(f"document.querySelector('.rooms [aria-current]').innerText === {json.dumps(room)}")
        for view in names(tab, ".tabs") or [""]:
            if view:
                press(tab, ".tabs", view)
            # two frames, so that what the view reads at first is laid out
            tab.run(TWO_FRAMES)
            yield f"{room} {view}".strip()
            for path in range(4) if room == "Learn" else ():
                yield f"Learn {lesson(tab, path)}"
                press(tab, ".way", "All lessons")
                tab.until(LESSONS)
            if tab.run("!!document.querySelector('.which')?.offsetParent"):
                press(tab, ".piano-side", "Pads")
                yield f"{room} {view} keys".strip()
                press(tab, ".piano-side", "Pads")


@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_in_any_view(server: ServerProcess, browser: Chromium, size: str) -> None:
    tab = opened(browser, server, size)
    found: dict[str, Any] = {}
    for theme in THEMES:
        dressed(tab, theme)
        for view in views(tab):
            # other themes have other colours, and nothing else
            if against := violations(tab, "null" if theme == THEMES[0] else "['color-contrast']"):
                found[f"{size}, {theme}, {view}"] = against
            if PICTURES:
                tab.screenshot(Path(PICTURES) / f"{size}-{theme}-{view.lower().replace(' ', '-')}.png")
    assert not found, json.dumps(found, indent=1)


def test_keys_show_what_the_layout_has(server: ServerProcess, browser: Chromium) -> None:
    tab = browser.tab()
    layout = "{getLayoutMap: () => Promise.resolve(new Map([['KeyY', 'z'], ['KeyZ', 'y'], ['Semicolon', 'ö']]))}"
    tab.call("Page.enable")
    tab.call(
        "Page.addScriptToEvaluateOnNewDocument",
        source=f"Object.defineProperty(navigator, 'keyboard', {{value: {layout}}})",
    )
    tab.size(*SIZES["desktop"])
    tab.go(f"http://127.0.0.1:{server.http}/#room=instrument")
    tab.until(READY)
    press(tab, ".piano-side", "Pads")
    tab.until("document.querySelector('.keys').innerText.replace(/\\s+/g, '') === 'AWSEDFTGZHUJKOLPÖ'")
    assert tab.run("!!document.querySelector('[aria-label=\"An octave down (Y)\"]')")


def test_menus_that_open_over_the_page(server: ServerProcess, browser: Chromium) -> None:
    tab = opened(browser, server, "desktop")
    menus = ((".tools", "Add…", ".types li"), (".input", "Input", ".menu"), (".patch", "Page", ".patches li"))
    for where, name, there in menus:
        press(tab, where, name)
        tab.until(f"!!document.querySelector('{there}')")
        against = violations(tab)
        assert not against, json.dumps(against, indent=1)
        menu = f"document.querySelector('{there}').closest('.types, .menu, .patches')"
        tab.run(f"{menu}.querySelector('input, button').focus()")
        tab.key("keyDown", "Escape", "Escape")
        tab.until(f"!document.querySelector('{there}')")


@pytest.mark.parametrize("room", ["Learn", "Instrument", "Clips", "Code", "Files", "Library"])
def test_tab_reaches_every_control_once_and_in_the_order_of_the_page(
    server: ServerProcess, browser: Chromium, room: str
) -> None:
    tab = opened(browser, server, "desktop")
    press(tab, ".rooms", room)
    tab.until(f"document.querySelector('.app').dataset.room === {json.dumps(room)}")
    if room == "Learn":
        lesson(tab, 0)
    if room == "Code":
        tab.until("!!document.querySelector('.cm-content') && !!document.querySelector('.gallery li')")
    settled = "new Promise(done => setTimeout(() => done(document.querySelectorAll('button').length), 300))"
    while tab.run(settled) != tab.run(settled):
        pass
    reach = """(() => {
      const can = [...document.querySelectorAll('button, input, select, textarea, a[href], [tabindex]')].filter(one =>
        one.offsetParent && one.checkVisibility() && !one.disabled && one.tabIndex >= 0);
      window.stops = can;
      return can.length;
    })()"""
    count = tab.run(reach)
    assert count > 10
    tab.run("const app = document.querySelector('.app'); app.tabIndex = -1; app.focus(); app.blur()")
    order = []
    for _ in range(count + 20):
        for kind in ("keyDown", "keyUp"):
            tab.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        if tab.run("document.activeElement.matches('.cm-content')"):
            order.append(tab.run("stops.indexOf(document.activeElement)"))
            for kind in ("rawKeyDown", "keyUp"):  # Tab indents; Esc leaves the text, and the next Tab goes on behind it
                tab.call("Input.dispatchKeyEvent", type=kind, key="Escape", code="Escape", windowsVirtualKeyCode=27)
            continue
        place = tab.run("stops.indexOf(document.activeElement)")
        if tab.run("document.activeElement === document.body"):
            break
        if place < 0:
            continue  # browsers also stop at what can be scrolled
        order.append(place)
        # a focus that cannot be seen is none
        assert tab.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert order == list(range(count))
