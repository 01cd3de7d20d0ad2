"""The page's layout: one row of a head, messages that cover nothing, names of any script, what is read first."""

import io
import json
import urllib.parse
import urllib.request

import numpy as np
import pytest
import soundfile
from tests.chromium import TWO_FRAMES, Chromium, Tab, needs_chromium
from tests.serve.test_page_accessibility import PATCH as PAGE
from tests.waiting import until

from antiphon.files.owner_token import load_token
from antiphon_bench.rig import ServerProcess

pytestmark = [pytest.mark.real, pytest.mark.untimed, needs_chromium]

PATCH = PAGE.replace("Page", "مساء طويل في المدينة القديمة مع كثير من الضيوف")
ROOMS = ("Learn", "Instrument", "Clips", "Code", "Files", "Library")
PHONE = 390
WIDTHS = (PHONE, 600, 761, 900, 901, 1180, 1260, 1261, 1400, 1401, 1600, 1761, 1920)
NAMES = {
    "German": "Überstundenkonzertaufnahmegerätebeschreibung mit größter Übermäßigkeit",
    "Japanese": "夜明け前の静かな海辺で録音した長い長いピアノの即興演奏その三",
    "Arabic": "تسجيل طويل جدا لعزف البيانو قبل الفجر على شاطئ البحر الهادئ",
}
CONTROLS = """(where => [...document.querySelectorAll(where)].filter(one => one.checkVisibility()).map(one => {
  const {left, top, right, bottom} = one.getBoundingClientRect();
  return [one.ariaLabel || one.innerText || one.className, left, top, right, bottom];
}))"""
CLOSE = "document.querySelectorAll('.toast [aria-label^=Close]').forEach(one => one.click())"
FIRST = """
window.WebSocket = class extends WebSocket {
  constructor(url, ways) {
    super(url, ways);
    if (!url.endsWith('/api/feed')) return;
    window.feed = this;
    this.addEventListener('message', () => window.came ??= performance.now());
  }
};
"""

Box = tuple[str, float, float, float, float]


def opened(browser: Chromium, server: ServerProcess, width: int = 1440) -> Tab:
    tab = browser.tab()
    tab.size(width, 844, phone=width == PHONE)
    tab.go(f"http://127.0.0.1:{server.http}/#room=instrument")
    tab.until("document.querySelectorAll('.node').length > 3 && antiphon.connection() === 'open'")
    return tab


def enter(tab: Tab, room: str) -> None:
    tab.run(f"[...document.querySelectorAll('.rooms button')].find(one => one.innerText === '{room}').click()")
    tab.until(f"document.querySelector('.app').dataset.room === '{room}'")
    tab.run(TWO_FRAMES)


def boxes(tab: Tab, where: str) -> list[Box]:
    """Names and edges of what is shown."""
    return [tuple(one) for one in tab.run(f"{CONTROLS}({json.dumps(where)})")]


def apart(one: Box, other: Box) -> bool:
    """Whether no pixel is of both."""
    return one[3] <= other[1] + 1 or other[3] <= one[1] + 1 or one[4] <= other[2] + 1 or other[4] <= one[2] + 1


def test_the_head_is_one_row_at_every_width_in_every_room_and_mode(server: ServerProcess, browser: Chromium) -> None:
    tab = opened(browser, server)
    for stage in (False, True):
        tab.size(1440, 844)
        if stage:
            tab.run("document.querySelector('header .stage').click()")
        for listening in (False, True):
            tab.run("document.querySelector('.listen button').click()")
            for width in WIDTHS:
                tab.size(width, 844, phone=width == PHONE)
                for room in ROOMS if width in (PHONE, 1260) else ("Code",):
                    enter(tab, room)
                    tab.run("document.querySelector('.gaps').hidden = false")
                    where = "header > :not(h1)" if width > 760 else "header > :not(h1, .rooms)"
                    found, head = boxes(tab, where), boxes(tab, "header")[0]
                    at = f"{width} px, {room}, stage {stage}, listening {listening}"
                    assert tab.run("document.documentElement.scrollWidth") == width, at
                    assert all(head[1] <= one[1] and one[3] <= width and one[4] <= head[4] for one in found), at
                    for place, one in enumerate(found):
                        for other in found[:place]:
                            assert apart(one, other), f"{at}: {one} {other}"
                    # a second row would stand below the first
                    assert head[4] - head[2] < 56, at
                    # and nothing stands between the head and the room
                    assert boxes(tab, "main")[0][2] - head[4] < 2, at


def test_what_opens_from_the_head_is_inside_the_window_at_every_width(server: ServerProcess, browser: Chromium) -> None:
    tab = opened(browser, server)
    for width in WIDTHS:
        tab.size(width, 844, phone=width == PHONE)
        if folded := tab.run("document.querySelector('header .more').checkVisibility()"):
            tab.run("document.querySelector('header .more').click()")
        for height in (844, 300):
            tab.size(width, height, phone=width == PHONE)
            tab.run(TWO_FRAMES)
            for button, opens in {".input button": ".menu", ".patch .chosen": ".patches"}.items():
                tab.run(f"document.querySelector('{button}').click()")
                tab.until(f"!!document.querySelector('{opens}')")
                tab.run(TWO_FRAMES)
                (_, left, top, right, bottom) = boxes(tab, opens)[0]
                assert 0 <= left < right <= width, f"{width} x {height}: {opens}"
                assert 0 <= top < bottom <= height, f"{width} x {height}: {opens}"
                tab.run(f"document.querySelector('{button}').click()")
                tab.until(f"!document.querySelector('{opens}')")
        if folded:
            tab.run("document.querySelector('header .more').click()")


def test_on_a_phone_run_covers_no_choice_and_the_code_tools_fade_where_more_are(
    server: ServerProcess, browser: Chromium
) -> None:
    tab = opened(browser, server, PHONE)
    enter(tab, "Files")
    tab.until("document.querySelectorAll('.work .what option').length > 5")
    # a window that ends within the choices
    tab.size(PHONE, int(boxes(tab, ".work .kinds")[0][2]) + 68, phone=True)
    tab.run(TWO_FRAMES)
    assert apart(boxes(tab, ".work .kinds")[0], boxes(tab, ".run-bar")[0])
    enter(tab, "Code")
    tab.until("!!document.querySelector('[aria-label=Script]')")
    assert tab.run("getComputedStyle(document.querySelector('.code-tools')).maskImage").startswith("linear-gradient")
    # scrolled again until all tools are there
    last = "[...document.querySelectorAll('.code-tools > *')].at(-1).getBoundingClientRect().right"
    tab.until(f"(document.querySelector('.code-tools').scrollLeft = 1e6, {last} <= {PHONE - 30})")


def test_a_phone_that_lies_on_its_side_has_what_is_played(server: ServerProcess, browser: Chromium) -> None:
    tab = opened(browser, server, PHONE)
    tab.run("[...document.querySelectorAll('.tabs button')].find(one => one.innerText === 'Play').click()")
    for width, height in ((PHONE, 844), (844, PHONE)):
        tab.size(width, height, phone=True)
        tab.run(TWO_FRAMES)
        found = [box for where in (".hand .slider", ".xy-pad", ".tabs", ".rooms") for box in boxes(tab, where)]
        assert len(found) == 4, f"{width} x {height}: {found}"
        for one in found:
            assert 0 <= one[1] < one[3] <= width, f"{width} x {height}: {one}"
            assert 0 <= one[2] < one[4] <= height, f"{width} x {height}: {one}"
        assert tab.run("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("fingers", [False, True])
def test_fingers_meet_no_words_for_a_mouse_and_no_keyboard_over_the_patches(
    server: ServerProcess, browser: Chromium, fingers: bool
) -> None:
    tab = browser.tab()
    tab.size(900, 1180, phone=fingers)
    tab.call("Emulation.setTouchEmulationEnabled", enabled=fingers, maxTouchPoints=5)
    tab.go(f"http://127.0.0.1:{server.http}/#room=files")
    tab.until("!!document.querySelector('.dropzone')")
    assert tab.run("matchMedia('(pointer: coarse)').matches") is fingers
    said = "document.querySelector('.dropzone').innerText"
    assert ("drop them here" in tab.run(said)) is not fingers
    tab.run("document.querySelector('.patch .chosen').click()")
    tab.until("!!document.querySelector('.patches')")
    tab.run(TWO_FRAMES)
    assert (tab.run("document.activeElement.type") == "search") is not fingers


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_a_message_covers_nothing(server: ServerProcess, browser: Chromium, width: int) -> None:
    tab = opened(browser, server, width)
    for room in ROOMS:
        enter(tab, room)
        tab.run(CLOSE)
        tab.until("!document.querySelector('.toast').innerText")
        before = [one[1:] for one in boxes(tab, "main, .piano, .tabs")]
        tab.run(f"antiphon.send('/patch/load', 'no-{room}')")
        tab.until(f"document.querySelector('.toast').innerText.includes('no-{room}')")
        said = boxes(tab, ".toast")[0]
        others = boxes(tab, "header, .app > :not(.foot, header), .rooms")
        assert all(apart(said, other) for other in others), f"{room}: {said} {others}"
        assert [one[1:] for one in boxes(tab, "main, .piano, .tabs")] == before, f"{room}: it moves nothing"
        assert said[3] <= width
        assert said[4] <= 844


def test_an_input_that_clips_is_said_once_and_hides_no_answer(server: ServerProcess, browser: Chromium) -> None:
    tab = browser.tab()
    tab.call("Page.enable")
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=FIRST)
    tab.size(1440, 844)
    tab.go(f"http://127.0.0.1:{server.http}/#room=instrument")
    tab.until("document.querySelectorAll('.node').length > 3 && antiphon.connection() === 'open'")

    def come(**frame: list[object]) -> None:
        tab.run(f"feed.onmessage({{data: {json.dumps(json.dumps(frame))}}})")

    said, loud = "document.querySelector('.toast').innerText", "The input is too loud"
    for _ in range(3):
        come(events=[["/clip", 1]])
        tab.until(f"{said}.includes('{loud}')")
    come(reply=["/capture.reply", "out.wav"])
    tab.until(f"{said}.includes('Captured: out.wav')")
    # what a node says of itself stands beside an answer, once, with what may be done about it
    howl = ["/node/state", "howl_guard", "running"]
    come(events=[[*howl, "lowered the input by 6 dB"]])
    tab.until(f"/Captured.*lowered the input by 6 dB.*Mute it for a second/s.test({said})")
    tab.run("[...document.querySelectorAll('.toast button')].find(one => one.innerText.startsWith('Mute')).click()")
    until(lambda: server.ask("/node/in/mute")[1] == [1], 20.0, "the input is muted")
    until(lambda: server.ask("/node/in/mute")[1] == [0], 20.0, "and again not")
    come(events=[[*howl, "lowered the input by 9 dB"]])
    tab.run(TWO_FRAMES)
    assert "9 dB" not in tab.run(said)
    for later in (1, 2, 13):
        tab.run(f"Date.now = () => performance.timeOrigin + performance.now() + {1000 * later}")
        come(events=[["/clip", 1]])
        tab.run(TWO_FRAMES)
        if later < 13:
            assert "Captured" in tab.run(said)
    tab.run(CLOSE)
    tab.until(f"!{said}")
    lines = tab.run("[...document.querySelectorAll('.log li')].map(one => one.innerText)")
    assert len([one for one in lines if loud in one]) == 2, "once, and again after a pause"


@pytest.fixture(scope="module")
def token(server: ServerProcess) -> str:
    """The token of the server, which has a sound and a script of each of `NAMES`."""
    token = load_token(server.home / "config")
    noise = io.BytesIO()
    soundfile.write(noise, np.random.default_rng(1).normal(0.0, 0.1, 4800), 48000, format="WAV")
    for name in NAMES.values():
        text = f'from antiphon.live import *\n\ntrack("{name}", s("bd"))\n'
        script = json.dumps({"text": text, "replace": True}).encode()
        for method, path, kind, body in (
            ("POST", f"/api/files?name={urllib.parse.quote(name)}.wav", "octet-stream", noise.getvalue()),
            ("PUT", f"/api/live/sets/{urllib.parse.quote(name)}", "json", script),
        ):
            headers = {"Authorization": f"Bearer {token}", "Content-Type": f"application/{kind}"}
            request = urllib.request.Request(f"http://127.0.0.1:{server.http}{path}", body, headers, method=method)
            with urllib.request.urlopen(request, timeout=180.0) as answer:
                assert answer.status < 300
    return token


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_names_of_any_script_keep_their_direction_and_their_place(
    server: ServerProcess, browser: Chromium, token: str, width: int
) -> None:
    tab = opened(browser, server, width)
    tab.run(f"sessionStorage.setItem('token', {json.dumps(token)})")
    directions = """(where => Object.fromEntries([...document.querySelectorAll(where)].map(one =>
      [one.innerText.replace(/[.]wav$/, ''), getComputedStyle(one).direction])))"""
    expected = {"German": "ltr", "Japanese": "ltr", "Arabic": "rtl"}
    for room, where in {"Files": ".stored .file-name", "Code": ".code-tools select"}.items():
        enter(tab, room)
        tab.until(f"document.querySelectorAll({json.dumps(where)}).length >= {3 if room == 'Files' else 1}")
        if room == "Files":
            found = tab.run(f"{directions}({json.dumps(where)})")
            assert {language: found[name] for language, name in NAMES.items()} == expected
        assert tab.run("document.documentElement.scrollWidth") == width, room
    for language, name in NAMES.items():
        options = "[...document.querySelector('[aria-label=Script]').options]"
        tab.until(f"{options}.some(one => one.value === {json.dumps(name)})")
        choose = f"(one => (one.value = {json.dumps(name)}, one.dispatchEvent(new Event('change', {{bubbles: true}}))))"
        tab.run(f"{choose}(document.querySelector('[aria-label=Script]')), true")
        tab.until(f"antiphon.script().includes({json.dumps(name)})")
        assert tab.run("document.documentElement.scrollWidth") == width, language
        # on a phone the tools are a row that scrolls
        tab.run("document.querySelector('[aria-label=Script]').scrollIntoView({inline: 'center', block: 'nearest'})")
        select, head = boxes(tab, "[aria-label=Script]")[0], boxes(tab, "header")[0]
        assert head[1] <= select[1] < select[3] <= head[3], language
    # the patch's own name, in the head and in the list
    assert tab.run("getComputedStyle(document.querySelector('.chosen')).direction") == "rtl"


def test_before_the_first_levels_nothing_is_asked_that_the_first_screen_does_without(
    server: ServerProcess, browser: Chromium
) -> None:
    for room, more in {"instrument": set(), "learn": {"/api/lessons"}}.items():
        tab = browser.tab()
        tab.call("Page.enable")
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=FIRST)
        tab.go(f"http://127.0.0.1:{server.http}/#room={room}")
        # an answer is listed once it is complete
        tab.until(
            "!!window.came && ['/patches', '/api/graph'].every(path =>"
            " performance.getEntriesByType('resource').some(one => one.name.includes(path)))"
        )
        asked = tab.run(
            "performance.getEntriesByType('resource').filter(one => one.startTime < came)"
            ".map(one => new URL(one.name).pathname)"
        )
        first = {"/page/app.css", "/page/app.js", "/api/graph"}
        assert first <= set(asked) <= first | more | {"/page/icon.svg"}, room
        # the words of live scripts cost the server more than all the rest, and only an editor shows them
        assert not tab.run("performance.getEntriesByType('resource').some(one => /live.words/.test(one.name))")
