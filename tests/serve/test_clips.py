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


OUT = """[...document.querySelectorAll('.on-stage *, .piano *')].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 1 || box.bottom > innerHeight + 1);
}).map(one => one.className)"""
"""What the window does not show of what is played on a stage."""


def test_a_stage_and_a_phone_have_what_is_played_on_one_screen(server: ServerProcess, chromium: Chromium) -> None:
    tab = opened(chromium, server, phone=True)
    press = "(() => {{ [...document.querySelectorAll({where!r})].find(b => b.innerText === {name!r}).click() }})()"
    tab.run(press.format(where=".tabs button", name="Play"))
    tab.until("!!document.querySelector('.on-stage .xy-pad') && !!document.querySelector('.drum-pads button')")
    shown = [".on-stage .macros [role=slider]", ".on-stage .scenes button", ".xy-pad", ".drum-pads button"]
    for size in ((390, 844), (390, 760)):
        tab.size(*size, phone=True)
        for one in shown[:1] + shown[2:]:
            tab.until(f"document.querySelector('{one}').checkVisibility()")
        tab.until(f"{OUT}.length === 0")
    tab.size(1440, 900)
    tab.run("localStorage.stage = '1'")
    tab.reload()
    tab.until("!!document.querySelector('.on-stage .beat') && !!document.querySelector('.on-stage .strip .level')")
    assert tab.run("parseFloat(getComputedStyle(document.querySelector('.on-stage .label')).fontSize)") > 24
    tab.until(f"{OUT}.length === 0")
    tab.run("document.querySelector('[aria-label=\"Mute drums\"]').click()")
    assert server.ask("/node/drums/mute")[1] == [1]
    tab.run("document.querySelector('[aria-label=\"Mute drums\"]').click()")
    chromium.close_tabs()


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
