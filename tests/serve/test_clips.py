"""The room Clips and the pads of a phone in a real browser: what is launched begins on the bar, and is heard."""

import pytest
from tests.chromium import Chromium, Tab, needs_chromium
from tests.waiting import until

from antiphon_bench.rig import ServerProcess

pytestmark = [pytest.mark.real, pytest.mark.untimed, needs_chromium]
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
HEARD, SILENT = "antiphon.level('drums') > 0.01", "antiphon.level('drums') < 0.001"


def opened(browser: Chromium, server: ServerProcess, *, phone: bool = False) -> Tab:
    tab = browser.tab()
    tab.size(*((390, 844) if phone else (1440, 900)), phone=phone)
    tab.call("Page.enable")
    tab.go(f"http://127.0.0.1:{server.http}/#room={'instrument' if phone else 'clips'}")
    tab.until("window.antiphon?.connection() === 'open'")
    return tab


OUT = """[...document.querySelectorAll('.on-stage *, .piano *')].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 1 || box.bottom > innerHeight + 1);
}).map(one => one.className)"""
"""What the window does not show of what is played on a stage."""


def test_a_stage_and_a_phone_have_what_is_played_on_one_screen(server: ServerProcess, browser: Chromium) -> None:
    tab = opened(browser, server, phone=True)
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
    button = "document.querySelector('[aria-label=\"Mute drums\"]')"
    for muted in (1, 0):
        tab.until(f"{button}.ariaPressed === '{'false' if muted else 'true'}'")
        tab.run(f"{button}.click()")
        until(lambda muted=muted: server.ask("/node/drums/mute")[1] == [muted], 5.0, f"the drums' mute is {muted}")


def test_an_empty_grid_offers_what_the_patch_can_play_and_keeps_it_at_a_click(
    server: ServerProcess, browser: Chromium
) -> None:
    tab = opened(browser, server)
    offered = "document.querySelector('.clip.is-steps')"
    tab.until(f"document.querySelector('.steps b')?.innerText === 'bd' && {offered}?.innerText.startsWith('Pattern A')")
    assert server.ask("/clip/list")[1] == []
    tab.run(f"{offered}.click()")
    tab.until(f"document.querySelector('.clip.on') && {HEARD}")
    assert "0 /node/drums/play s bd" in server.ask("/clip/get", "steps/0")[1]
    tab.run("antiphon.send('/clip/delete', 'steps/0')")
    tab.until(f"!document.querySelector('.clip.on') && {offered} && {SILENT}")
    # a clip of one's own, and Edit, leave what was offered in sight
    own = "document.querySelector('[aria-label=\"Clip 3\"]')"
    tab.run(f"{own}.value = 'sound/0/drums/cp', {own}.dispatchEvent(new Event('change', {{bubbles: true}}))")
    tab.until(f"document.querySelector('.clip.is-sound')?.innerText.startsWith('cp') && {offered}")
    assert server.ask("/clip/get", "steps/0")[1][2] == 0, "it has its place in the grid"
    for name in ("steps/0", "sound/0/drums/cp"):
        tab.run(f"antiphon.send('/clip/delete', '{name}')")
    tab.until("!document.querySelector('.clip.is-sound')")


def test_steps_and_clips_begin_on_the_bar_and_end_there(server: ServerProcess, browser: Chromium) -> None:
    tab = opened(browser, server)
    tab.until("document.querySelector('.steps b')?.innerText === 'bd'")
    tab.run("[...document.querySelectorAll('.steps button')].slice(0, 16).forEach((b, n) => n % 4 || b.click())")
    tab.until("document.querySelectorAll('.steps [aria-pressed=true]').length === 4")
    play = "[...document.querySelectorAll('.clips-steps h2 button')].find(b => '▶■'.includes(b.innerText))"
    tab.run(f"{play}.click()")
    tab.until(HEARD)
    steps = server.ask("/clip/get", "steps/0")[1][3:]
    assert steps == [f"{beat} /node/drums/play s bd" for beat in range(4)]
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
    tab.run("document.querySelector('.clip.is-sound').click()")
    tab.until("document.querySelector('.clip.on') && " + HEARD)
    tab.reload()
    tab.until("document.querySelector('.clip.is-sound.on')?.innerText.startsWith('cp')")  # the server plays it
    record = "[...document.querySelectorAll('.clips-grid h2 button')].find(b => b.innerText === 'Record')"
    bars = "document.querySelector('[aria-label=\"Bars of a recording\"]')"
    tab.run(f"{bars}.value = '16', {bars}.dispatchEvent(new Event('change', {{bubbles: true}})), {record}.click()")
    tab.until("!!document.querySelector('.clip.is-take.on')")
    tab.run("antiphon.send('/node/drums/play', 's', 'bd')")
    tab.run(f"{record}.click()")
    tab.until(f"{record}.ariaPressed === 'false'")
    (taken,) = server.ask("/clip/get", "take 1")[1][3:]
    assert taken.endswith("/node/drums/play s bd velocity 127")
    assert float(taken.partition(" ")[0]) % 0.25 == 0.0
    tab.until("document.querySelector('.clip.is-take:not(.on)')?.innerText.startsWith('take 1')")
    for kind in ("keyDown", "keyUp"):
        tab.call("Input.dispatchKeyEvent", type=kind, key="F12", code="F12", windowsVirtualKeyCode=123)
    tab.until(f"!document.querySelector('.clip.on') && {SILENT}")
    # what begins before the server has said that there was a panic, or two, is not stopped by it
    f12 = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'F12', code: 'F12', bubbles: true}))"
    tab.run(f"{f12}, {f12}, document.querySelector('.clip.is-sound').click()")
    tab.until("document.querySelector('.clip.on') || document.querySelector('.clip.waits')")
    server.send("/panic")  # of a pedal, a surface or another browser
    tab.until(f"!document.querySelector('.clip.on, .clip.waits') && {SILENT}")


def test_a_message_on_a_phone_leaves_the_last_pads_in_sight(server: ServerProcess, browser: Chromium) -> None:
    tab = opened(browser, server, phone=True)
    tab.run("[...document.querySelectorAll('.rooms button')].find(one => one.innerText === 'Clips').click()")
    tab.until("document.querySelectorAll('main.clips .drum-pads button').length > 0")
    tab.run("(room => room.scrollTop = room.scrollHeight)(document.querySelector('main.clips'))")
    tab.key("keyDown", "F12", "F12")
    tab.until("document.querySelector('.toast').innerText.startsWith('Panic')")
    edges = "['.drum-pads', '.toast'].map(one => document.querySelector(one).getBoundingClientRect())"
    tab.until(f"(([pads, said]) => pads.bottom <= said.top)({edges})")
    server.send("/node/in/mute", 0)
