"""The page in a real browser, beside a real server: heard, seen, played, in step, and back after a kill."""

import http.client
import os
import signal

import pytest
from tests.chromium import TWO_FRAMES, Chromium, Tab, needs_chromium
from tests.serve.test_live import value
from tests.waiting import until

from antiphon_bench.rig import ServerProcess

pytestmark = [pytest.mark.real, pytest.mark.untimed, needs_chromium]

PATCH = """
format = 1
name = "Page"

[nodes.tone]
frequency = 440.0
level = 0.25

[nodes.gain]

[wires]
"tone" = "gain"
"gain" = "out"
"""
READY = "document.querySelectorAll('.node').length === 3"
LISTEN = "document.querySelector('.listen button').click()"


def opened(browser: Chromium, server: ServerProcess) -> Tab:
    tab = browser.tab()
    tab.size(1440, 900)
    tab.go(f"http://127.0.0.1:{server.http}/#room=instrument")
    tab.until(READY)
    return tab


def control(name: str) -> str:
    return f"document.querySelector('.control [aria-label={name}]')"


def test_samples_arrive_in_the_audio_context_of_two_browsers(server: ServerProcess, browser: Chromium) -> None:
    tabs = [opened(browser, server), opened(browser, server)]
    for tab in tabs:
        tab.run(LISTEN)
        tab.until("document.querySelector('.listen button').innerText === 'Listening'")
    for tab in tabs:
        # RMS of what the audio thread played, measured there: a sine of 0.25
        rms = tab.until("antiphon.report() && antiphon.report().rms > 0.1 && antiphon.report().rms")
        assert rms < 0.25
        tab.until("/\\d+ ms/.test(document.querySelector('.listen small').innerText)")
    server.send("/node/gain/mute", 1)
    for tab in tabs:
        tab.until("antiphon.report().rms < 0.001")
        tab.until("antiphon.level('out') < 0.001")
    # the tone is still there before the muted node, and any node can be heard
    tabs[0].run("document.querySelector('[aria-label=\"Hear and see tone\"]').click()")
    tabs[0].until("antiphon.report().rms > 0.1")
    assert tabs[0].run("antiphon.tap()") == "tone"
    until(lambda: server.status()["sound_streams"] == 2, 20.0, "what was heard before is closed")
    server.send("/node/gain/mute", 0)
    tabs[1].run(LISTEN)
    tabs[1].until("document.querySelector('.listen button').innerText === 'Listen'")


def test_two_browsers_are_in_step_with_each_other_and_with_osc(server: ServerProcess, browser: Chromium) -> None:
    one, two = opened(browser, server), opened(browser, server)
    for tab in (one, two):
        tab.run("[...document.querySelectorAll('.chips button')].find(b => b.innerText === 'tone').click()")
        tab.until(control("frequency"))
    place = f"{control('frequency')}.getBoundingClientRect()"
    box = [one.run(f"{place}.{side}") for side in ("x", "y", "width", "height")]
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    one.mouse("mousePressed", x, y)
    one.mouse("mouseMoved", x + 40, y)
    one.mouse("mouseReleased", x + 40, y)
    until(lambda: value(server, "/node/tone/frequency") > 441.0, 20.0, "the drag sets the frequency")
    moved = value(server, "/node/tone/frequency")
    assert 440.0 < moved < 20000.0
    two.until(f"Math.abs({control('frequency')}.ariaValueNow - {moved}) < 1")
    server.send("/node/tone/frequency", 880.0)
    for tab in (one, two):
        tab.until(f"{control('frequency')}.ariaValueNow === '880'")
    # double-click, type, enter
    one.mouse("mousePressed", x, y)
    one.mouse("mouseReleased", x, y)
    one.mouse("mousePressed", x, y, clicks=2)
    one.mouse("mouseReleased", x, y, clicks=2)
    one.until("document.activeElement.matches('.control input.text')")
    one.run("(() => { const field = document.activeElement; field.value = '330'; })()")
    one.key("keyDown", "Enter", "Enter")
    until(lambda: value(server, "/node/tone/frequency") == 330.0, 20.0, "what was typed is set")
    two.until(f"{control('frequency')}.ariaValueNow === '330'")


def test_a_click_on_a_bar_goes_there_in_the_score_that_is_followed(server: ServerProcess, browser: Chromium) -> None:
    tab = opened(browser, server)
    server.send("/node/add", "follow", "ears")
    server.send("/node/ears/score", "ode.musicxml")
    server.sync()
    tab.until("document.querySelector('.place')?.innerText.startsWith('before the first bar')")
    tab.run("document.querySelector('.place [title=\"Goes to bar 3\"]').click()")
    until(lambda: value(server, "/node/ears/place") == 3.0, 20.0, "the third bar is expected")
    tab.until("document.querySelector('.place strong').innerText === 'bar 3'")
    tab.until("document.querySelector('.place [aria-current=location]').innerText === '3'")
    tab.until("document.querySelector('.place small').innerText.startsWith('then ')")
    edges = "['.roll canvas', '.place'].map(one => document.querySelector(one).getBoundingClientRect())"
    assert tab.run(f"(([notes, place]) => notes.width > 300 && notes.right <= place.left)({edges})")
    tab.run("[...document.querySelectorAll('button.stage')].find(one => one.checkVisibility()).click()")
    tab.until("document.querySelector('.on-stage .beat').innerText === 'waits'")
    server.send("/note/on", int(value(server, "/node/ears/next1")), 100, "ears")
    tab.until("document.querySelector('.on-stage .beat').innerText === '3.1'")
    tab.until("document.querySelector('.on-stage .place small').innerText.startsWith('then ')")
    tab.run("document.querySelector('button.stage[aria-pressed=true]').click()")
    server.send("/node/remove", "ears")
    tab.until(READY)


def test_panic_is_f12_or_a_held_button_and_space_plays_and_stops(server: ServerProcess, browser: Chromium) -> None:
    tab = opened(browser, server)
    panics = "antiphon.panics()"
    tab.key("keyDown", "Escape", "Escape")
    tab.key("keyDown", " ", "Space")
    until(lambda: not server.status()["playing"], 20.0, "the beat is stopped")
    tab.until("document.querySelector('.transport button').innerText === '▶'")
    tab.key("keyDown", " ", "Space")
    until(lambda: server.status()["playing"], 20.0, "the beat goes on")
    assert tab.run(panics) == 0
    assert not tab.run("!!document.querySelector('.unmute')")
    tab.key("keyDown", "F12", "F12")
    tab.until(f"{panics} === 1")
    until(lambda: value(server, "/node/in/mute") == 1.0, 20.0, "a microphone that howls is silent")
    tab.until("document.querySelector('.log').innerText.includes('the input is muted until you unmute it')")
    tab.until("!!document.querySelector('.unmute')")
    tab.size(1280, 720)
    edges = "['header .stage', 'header > .panic'].map(one => document.querySelector(one).getBoundingClientRect())"
    tab.run("document.querySelector('.chosen').click()")
    tab.until("!!document.querySelector('.patches li')")
    assert tab.run(f"(([stage, panic]) => stage.right <= panic.left)({edges})"), "the list of patches moves nothing"
    tab.run("document.querySelector('.chosen').click()")
    tab.size(1440, 900)
    tab.run("document.querySelector('.unmute').click()")
    until(lambda: value(server, "/node/in/mute") == 0.0, 20.0, "it is heard again")
    tab.until("!document.querySelector('.unmute')")
    place = (
        "(b => [b.left + b.width / 2, b.top + b.height / 2])(document.querySelector('.panic').getBoundingClientRect())"
    )
    x, y = tab.run(place)
    # in one turn: between two messages of a busy machine it would be held
    tab.run(
        "['pointerdown', 'pointerup'].forEach(kind => "
        "document.querySelector('.panic').dispatchEvent(new PointerEvent(kind, {bubbles: true})))"
    )
    tab.until("document.querySelector('.log').innerText.includes('Hold the button')")
    assert tab.run(panics) == 1, "a slip is none"
    tab.mouse("mousePressed", x, y)
    tab.until(f"{panics} === 2")
    tab.mouse("mouseReleased", x, y)
    tab.size(1440, 900)
    tall, (x, y) = tab.run("document.querySelector('header').offsetHeight"), tab.run(place)
    tab.run("document.querySelector('.listen button').click()")
    tab.until("document.querySelector('.listen input') !== null")
    assert tab.run(place) == [x, y], "it is where it was"
    assert tab.run("document.querySelector('header').offsetHeight") == tall, "and all below it too"
    tab.run("document.querySelector('.listen button').click()")


def test_it_is_back_after_the_web_process_and_the_server_s_engine_were_killed(
    server: ServerProcess, browser: Chromium
) -> None:
    tab = opened(browser, server)
    tab.run(LISTEN)
    tab.until("antiphon.report() && antiphon.report().rms > 0.05")
    blocks, pid = server.status()["blocks"], server.status()["web"]["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: _web(server) not in (0, pid), 20.0, "another web process answers")
    hears_changes(server, tab)
    assert server.status()["blocks"] > blocks, "the sound went on"
    os.kill(server.pids()["engine"], signal.SIGKILL)
    until(lambda: server.status()["engine"]["restarts"] == 1, 20.0, "another engine plays")
    hears_changes(server, tab)


def _web(server: ServerProcess) -> int:
    """The web process's number, 0 while none answers."""
    try:
        return int(server.status()["web"]["pid"])
    except (OSError, http.client.HTTPException):
        return 0


def hears_changes(server: ServerProcess, tab: Tab) -> None:
    """Returns once the page has played silence and the tone that were set now, not before."""
    tab.until("antiphon.connection() === 'open'")
    server.send("/node/tone/level", 0.0)
    tab.until("antiphon.report() && antiphon.report().rms < 0.01")
    server.send("/node/tone/level", 0.25)
    tab.until("antiphon.report().rms > 0.05")


def test_of_a_thousand_moves_a_second_none_is_lost_and_the_last_counts(
    server: ServerProcess, browser: Chromium
) -> None:
    tab, other = opened(browser, server), opened(browser, server)
    other.run("[...document.querySelectorAll('.chips button')].find(b => b.innerText === 'tone').click()")
    other.until(f"!!{control('frequency')}")
    before = server.status()
    tab.until("antiphon.connection() === 'open'")
    moves = 2000
    # ten every 10 ms, of two parameters in turn
    tab.run(
        f"new Promise(done => {{ let n = 0; const timer = setInterval(() => {{ for (let k = 0; k < 10; k++, n++) "
        f"antiphon.send(n % 2 ? '/node/tone/frequency' : '/node/gain/gain', n % 2 ? 500 + n / 10 : n / {moves}); "
        f"if (n >= {moves}) {{ clearInterval(timer); done(true) }} }}, 10) }})"
    )
    last = 500 + (moves - 1) / 10
    until(lambda: value(server, "/node/tone/frequency") == pytest.approx(last), 20.0, "the last frequency is set")
    until(lambda: value(server, "/node/gain/gain") == pytest.approx((moves - 2) / moves), 20.0, "the last gain is set")
    other.until(f"Math.abs({control('frequency')}.ariaValueNow - {last}) < 0.01")
    after = server.status()
    assert after["osc_received"] - before["osc_received"] >= moves
    for name in ("osc_dropped", "osc_failed", "osc_queue_dropped", "commands_dropped", "page_dropped"):
        assert after[name] == before[name], name
    server.send("/node/gain/gain", 1.0)


def test_nodes_and_wires_are_edited_and_undone_in_all_browsers(server: ServerProcess, browser: Chromium) -> None:
    one, two = opened(browser, server), opened(browser, server)

    def wires() -> set[str]:
        return set(one.run("antiphon.wires()"))

    before = wires()
    one.run("[...document.querySelectorAll('.chips button')].find(b => b.innerText === 'tone').click()")
    one.run("[...document.querySelectorAll('.tools button')].find(b => b.innerText === 'Add…').click()")
    one.until("document.querySelectorAll('.types li').length > 5")
    one.run("[...document.querySelectorAll('.types b')].find(b => b.innerText === 'delay').closest('button').click()")
    for tab in (one, two):
        tab.until("[...document.querySelectorAll('.node b')].some(b => b.innerText === 'delay')")
    one.until("document.querySelector('.controls h2').innerText === 'delay'")
    assert wires() != before
    one.run("document.querySelector('[aria-label^=\"Cut the wire from delay\"]').click()")
    one.until("!antiphon.wires().some(wire => wire.startsWith('delay'))")
    one.run(
        "(() => { const s = document.querySelector('[aria-label=\"Wire delay to\"]'); s.value = 'delay.out out'; "
        "s.dispatchEvent(new Event('change', {bubbles: true})) })()"
    )
    two.until("antiphon.wires().some(wire => wire.startsWith('delay.out out'))")
    for left in (1, 2, 0):  # the wire is gone, the cut one is back, the node is gone
        one.run("[...document.querySelectorAll('.tools button')].find(b => b.innerText === 'Undo').click()")
        one.until(f"antiphon.wires().filter(wire => wire.includes('delay')).length === {left}")
    for tab in (one, two):
        tab.until(READY)
    assert wires() == before


def test_the_microphone_and_a_dropped_file_are_the_input(server: ServerProcess, browser: Chromium) -> None:
    tab, other = opened(browser, server), opened(browser, server)
    tab.until("antiphon.level('in') < 0.001")
    # Chromium's stand-in for a microphone beeps
    tab.run("antiphon.microphone()")
    tab.until("antiphon.level('in') > 0.01")
    other.run("antiphon.microphone()")
    other.until("document.querySelector('.log').innerText.includes('another browser sends sound already')")
    # between two beeps it is silent too: the button says that it is off
    tab.run("document.querySelector('.input button').click()")
    tab.until("document.querySelector('.input button').innerText === 'Input' && antiphon.level('in') < 0.001")
    samples = "".join(n.to_bytes(2, "little").hex() for n in (8192, 57344) * 2400)  # quarter of full scale, at 24 kHz
    head = (
        b"RIFF"
        + (36 + 9600).to_bytes(4, "little")
        + b"WAVEfmt \x10\0\0\0\x01\0\x01\0"
        + (48000).to_bytes(4, "little")
        + (96000).to_bytes(4, "little")
        + b"\x02\0\x10\0data"
        + (9600).to_bytes(4, "little")
    ).hex()
    tab.run(
        "(() => { const drop = new DragEvent('drop', {dataTransfer: new DataTransfer()}); "
        f"const bytes = new Uint8Array('{head}{samples}'.match(/../g).map(x => parseInt(x, 16))); "
        "drop.dataTransfer.items.add(new File([bytes], 'square.wav', {type: 'audio/wav'})); dispatchEvent(drop) })()"
    )
    tab.until("document.querySelector('.input button').innerText === 'File on'")
    tab.until("/square.wav is the server’s input now.*Files/s.test(document.querySelector('.toast').innerText)")
    tab.until("antiphon.level('in') > 0.2")
    tab.run("document.querySelector('.input button').click()")
    tab.until("antiphon.level('in') < 0.001")


def test_a_search_of_the_patches_looks_through_all(server: ServerProcess, browser: Chromium) -> None:
    tab = opened(browser, server)
    tab.run("document.querySelector('.patch .chosen').click()")
    tab.until("!!document.querySelector('.patches .chips button')")
    tab.run("[...document.querySelectorAll('.patches .chips button')].find(o => o.innerText === 'a file').click()")
    listed = "[...document.querySelectorAll('.patches li b')].map(one => one.innerText).join()"
    tab.until(f"!!document.querySelector('.patches .chips [aria-pressed=true]') && !{listed}.includes('band')")
    tab.run(
        "(() => { const field = document.querySelector('.patches input'); field.value = 'band'; "
        "field.dispatchEvent(new Event('input', {bubbles: true})) })()"
    )
    tab.until(f"{listed}.includes('band') && !document.querySelector('.patches .chips [aria-pressed=true]')")


def test_the_pictures_of_the_patches_are_there_as_soon_as_the_list_opens_again(
    server: ServerProcess, browser: Chromium
) -> None:
    tab, drawn = opened(browser, server), "document.querySelectorAll('.patches .sketch rect').length"
    tab.run("document.querySelector('.patch .chosen').click()")
    tab.until(f"{drawn} > 100")
    tab.reload()
    tab.until(READY)
    tab.run(
        "(() => { const fetched = window.fetch; window.fetch = (path, ...rest) => "
        "String(path).includes('sketches') ? new Promise(() => {}) : fetched(path, ...rest) })()"
    )
    tab.run("document.querySelector('.patch .chosen').click()")
    tab.until(f"{drawn} > 100")


def test_the_menu_of_the_input_closes_with_escape_and_with_the_room(server: ServerProcess, browser: Chromium) -> None:
    tab = opened(browser, server)
    for end in (
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))",
        "document.body.dispatchEvent(new PointerEvent('pointerdown', {bubbles: true}))",
        "[...document.querySelectorAll('.rooms button')].find(one => one.innerText === 'Files').click()",
    ):
        tab.run("document.querySelector('.input button').click()")
        tab.until("!!document.querySelector('.menu')")
        tab.run(end)
        tab.until("!document.querySelector('.menu')")


# as the system does it in a call, and as a browser does it that takes a microphone at the device's rate alone
WATCHED = """
window.contexts = [];
window.AudioContext = class extends AudioContext {
  constructor(options) { super(options?.sampleRate ? options : {...options, sampleRate: 44100}); contexts.push(this); }
  createMediaStreamSource(stream) {
    if (this.sampleRate !== 44100) throw new DOMException('another rate', 'NotSupportedError');
    return window.heard = super.createMediaStreamSource(stream);
  }
};
"""
SAID = "document.querySelector('.log').innerText"


def test_sound_that_the_system_stops_goes_on_at_a_touch(server: ServerProcess, browser: Chromium) -> None:
    tab = browser.tab()
    tab.size(1440, 900)
    tab.call("Page.enable")
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=WATCHED)
    tab.go(f"http://127.0.0.1:{server.http}/#room=instrument")
    tab.until(READY)
    tab.run(LISTEN)
    tab.until("antiphon.report()?.rms > 0.1")
    tab.run("contexts[0].suspend()")
    tab.until("document.querySelector('.listen button').innerText === 'Go on'")
    tab.until(f"{SAID}.includes('goes on when you touch the page')")
    tab.run("dispatchEvent(new PointerEvent('pointerup'))")
    tab.until("document.querySelector('.listen button').innerText === 'Listening'")
    tab.until("contexts[0].state === 'running' && antiphon.report()?.rms > 0.1")
    tab.run("antiphon.microphone()")
    tab.until("antiphon.level('in') > 0.01")
    assert tab.run("contexts.at(-1).sampleRate") == 44100
    tab.run("contexts.at(-1).suspend()")
    tab.until("document.querySelector('.input button').innerText === 'Input stopped'")
    tab.run("dispatchEvent(new PointerEvent('pointerup'))")
    tab.until("document.querySelector('.input button').innerText === 'Mic on'")
    # unplugged: another one is taken, or it says why not
    tab.run("(() => { const [track] = heard.mediaStream.getTracks(); track.onended(); })()")
    tab.until(f"{SAID}.includes('The microphone is gone')")
    tab.until("document.querySelector('.input button').innerText === 'Mic on'")
    tab.run(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));"
        "heard.mediaStream.getTracks()[0].onended()"
    )
    tab.until("document.querySelector('.input button').innerText === 'Input'")
    tab.until(f"{SAID}.includes('this browser does not allow it to this page')")


FAULTS = """
window.faults = [];
addEventListener('error', event => faults.push(event.message));
addEventListener('unhandledrejection', event => faults.push(String(event.reason)));
for (const kind of ['error', 'assert']) console[kind] = (...said) => faults.push(said.join(' '));
"""
ROOMS = "[...document.querySelectorAll('.rooms button')]"


def test_no_error_whichever_room_is_left_and_however_fast(server: ServerProcess, browser: Chromium) -> None:
    """Twice through all rooms, each shown; then with a change of size as a room is left, and several within a frame."""
    tab = browser.tab()
    browser.messages.clear()
    tab.listen()
    tab.size(1440, 900)
    tab.call("Page.enable")
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=FAULTS)
    tab.go(f"http://127.0.0.1:{server.http}/#room=instrument")
    tab.until(READY)
    names = tab.run(f"{ROOMS}.map(button => button.innerText)")
    assert len(names) >= 4
    for name in [*names, *names]:
        tab.run(f"{ROOMS}.find(button => button.innerText === '{name}').click()")
        tab.until(f"document.querySelector('.app').dataset.room === '{name}'")
        tab.run(f"{TWO_FRAMES}.then(() => 0)")
    for number, name in enumerate([*names, *names]):
        tab.run(f"{ROOMS}[0].click()")
        tab.run(f"{TWO_FRAMES}.then(() => 0)")
        tab.size(1200 + 40 * number, 800)
        tab.run(f"{ROOMS}.find(button => button.innerText === '{name}').click()")
    tab.run(
        f"(async () => {{ for (let n = 0; n < 40; n++) {{ {ROOMS}[n % {len(names)}].click();"
        f" if (n % 3) await {TWO_FRAMES}; }} }})()"
    )
    tab.size(390, 844, phone=True)
    for name in names:
        tab.run(f"{ROOMS}.find(button => button.innerText === '{name}').click()")
        tab.run(
            f"(async () => {{ for (const b of document.querySelectorAll('.tabs button, .beside-tabs button, .xy-pad,"
            f" .clips-grid h2 button, .clips-steps h2 button, .code-tools [aria-pressed]')) "
            f"{{ b.click?.(); await {TWO_FRAMES}; }} }})()"
        )
    tab.run(f"{TWO_FRAMES}.then(() => 0)")
    assert tab.run("faults") == []
    assert browser.messages == [], "the console stays empty"
