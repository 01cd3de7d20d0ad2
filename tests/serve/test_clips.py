"""The room Clips and the pads of a phone in a real browser: what is launched begins on the bar, and is heard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.chromium import Chromium, Tab, needs_chromium

from antiphon_bench.rig import ServerProcess

pytestmark = [pytest.mark.real, needs_chromium]
PATCH = """
format = 1
name = "Page"
tempo = 240

[nodes.drums]
type = "sampler"

[nodes.filter]

[wires]
"drums" = "filter"
"filter" = "out"

[macros]
bright = ["filter.cutoff", 200, 8000]
"""
SENT = """
window.sent = [];
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) { sent.push(String(data)); return send.call(this, data) };
"""
HEARD, SILENT = "antiphon.level('drums') > 0.01", "antiphon.level('drums') < 0.001"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    home = tmp_path_factory.mktemp("home")
    (home / "page.toml").write_text(PATCH)
    with ServerProcess("--audio", "headless", "--patch", str(home / "page.toml"), home=home, wait=120.0) as server:
        yield server


def opened(browser: Chromium, server: ServerProcess, *, phone: bool = False) -> Tab:
    tab = browser.tab()
    tab.size(*((390, 844) if phone else (1440, 900)), phone=phone)
    tab.call("Page.enable")
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=SENT)
    tab.go(f"http://127.0.0.1:{server.http}/{'' if phone else '#room=clips'}")
    tab.until("window.antiphon?.connection() === 'open'")
    return tab


def test_steps_and_clips_begin_on_the_bar_and_end_there(server: ServerProcess, chromium: Chromium) -> None:
    tab = opened(chromium, server)
    tab.until("document.querySelector('.steps b')?.innerText === 'bd'")
    tab.run("[...document.querySelectorAll('.steps button')].slice(0, 16).forEach((b, n) => n % 4 || b.click())")
    assert tab.run("document.querySelectorAll('.steps [aria-pressed=true]').length") == 4
    play = "[...document.querySelectorAll('.clips-steps h2 button')].find(b => '▶■'.includes(b.innerText))"
    tab.run(f"{play}.click()")
    tab.until(HEARD)
    hits = "sent.map(t => JSON.parse(t)).filter(m => m[0] === '/at' && m[4] === 'bd').map(m => m[1])"
    tab.until(f"{hits}.length > 4")
    beats = tab.run(hits)
    assert beats[0] % 4 == 0
    assert beats == [beats[0] + n for n in range(len(beats))], "each beat once"
    tab.run(f"{play}.click()")
    tab.until(f"{play}.innerText === '▶' && {SILENT}")

    cell = "document.querySelectorAll('.clips .choice > select:first-child')[0]"
    tab.run(
        f"(() => {{ const s = {cell}; s.value = 'sound/0/drums/cp'; "
        "s.dispatchEvent(new Event('change', {bubbles: true})) })()"
    )
    tab.until("document.querySelector('.clip.is-sound')?.innerText.startsWith('cp')")
    tab.run("antiphon.send('/transport/stop')")
    tab.until("!!document.querySelector('[aria-label=\"Start the beat\"]')")
    tab.run("sent.length = 0; document.querySelector('.clip.is-sound').click()")
    tab.until("document.querySelector('.clip.on') && " + HEARD)
    claps = "sent.map(t => JSON.parse(t)).filter(m => m[0] === '/at' && m[4] === 'cp').map(m => m[1])"
    assert tab.run(claps)[0] % 4 == 0
    tab.reload()
    tab.until("document.querySelector('.clip.is-sound')?.innerText.startsWith('cp')")
    tab.run("document.querySelector('.clip.is-sound').click()")
    tab.until("!!document.querySelector('.clip.on')")
    for kind in ("keyDown", "keyUp"):
        tab.call("Input.dispatchKeyEvent", type=kind, key="F12", code="F12", windowsVirtualKeyCode=123)
    tab.until(f"!document.querySelector('.clip.on') && {SILENT}")
    # what begins before the server has said that there was a panic, or two, is not stopped by it
    f12 = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'F12', code: 'F12', bubbles: true}))"
    tab.run(f"{f12}, {f12}, document.querySelector('.clip.is-sound').click()")
    tab.until("!!document.querySelector('.clip.on')")
    server.send("/panic")  # of a pedal, a surface or another browser
    tab.until(f"!document.querySelector('.clip.on') && {SILENT}")
    chromium.close_tabs()


def test_a_finger_on_the_xy_pad_moves_two_parameters_in_all_browsers(server: ServerProcess, chromium: Chromium) -> None:
    tab, other = opened(chromium, server), opened(chromium, server)
    tab.until("!!document.querySelector('.xy-pad')")
    box = tab.run(
        "(r => [r.left, r.top, r.width, r.height])(document.querySelector('.xy-pad').getBoundingClientRect())"
    )
    for kind, x, y in (("mousePressed", 0.2, 0.5), ("mouseMoved", 0.8, 0.25), ("mouseReleased", 0.8, 0.25)):
        tab.mouse(kind, box[0] + x * box[2], box[1] + y * box[3])
    names = tab.run("[...document.querySelectorAll('.xy select')].map(s => s.value)")
    assert names == ["macro.bright", "filter.cutoff"]
    shown = "document.querySelector('.xy-pad')?.getAttribute('aria-valuenow')"
    assert 78 <= int(tab.run(shown)) <= 82
    other.until(f"Math.abs({shown} - 80) <= 2")
    chromium.close_tabs()


def test_a_phone_has_pads_for_a_patch_of_pads(server: ServerProcess, chromium: Chromium) -> None:
    tab = opened(chromium, server, phone=True)
    tab.run("[...document.querySelectorAll('.tabs button')].find(b => b.innerText === 'Play').click()")
    tab.until("document.querySelectorAll('.piano .drum-pads button').length > 8")
    sizes = tab.run(
        "[...document.querySelectorAll('.drum-pads button')].map(b => b.getBoundingClientRect())"
        ".map(r => Math.min(r.width, r.height))"
    )
    assert min(sizes) >= 48
    assert tab.run("document.querySelector('.side .macros .label').innerText") == "bright", "first of all"
    tab.run(
        "document.querySelector('.drum-pads button').dispatchEvent(new PointerEvent('pointerdown', {bubbles: true}))"
    )
    tab.until(HEARD)
    tab.run("document.querySelector('.which').click()")
    tab.until("!document.querySelector('.drum-pads') && document.querySelector('.keys').offsetHeight > 50")
    chromium.close_tabs()
