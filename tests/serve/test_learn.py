"""The room Learn in a real browser: every lesson is failed, answered, passed, and kept over a reload."""

import contextlib
import json
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chromium import Chromium, Tab, needs_chromium
from tests.waiting import until

from antiphon.lessons.lessons import LessonFile, lessons
from antiphon_bench.rig import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.untimed, needs_chromium]
FAST = "code"
"""The path that is played through with the fast tests; the others take programs and minutes."""

LONG = 400.0
"""Patience in seconds: work on files gives way to all else on the machine."""
SAID = "document.querySelector('.lesson-said')?.innerText ?? ''"
DRAWN = f"document.querySelectorAll('.lesson-paths li').length === {len(lessons())}"
KEYS, KEYS_FROM = "AWSEDFTGYHUJKOLP", 60
"""Letters of the page's piano, and their first note."""
EDITOR = "document.querySelector('.lesson-desk .cm-content')"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    home = tmp_path_factory.mktemp("home")
    with ServerProcess("--audio", "headless", "--patch", "band", "--live", home=home, wait=120.0) as it:
        it.home = home  # type: ignore[attr-defined]
        yield it


@pytest.fixture
def tab(browser: Chromium, server: ServerProcess) -> Tab:
    tab = browser.tab()
    tab.size(1280, 800)
    tab.go(f"http://127.0.0.1:{server.http}/")
    tab.until("window.antiphon?.connection() === 'open'")
    home: Path = server.home  # type: ignore[attr-defined]
    tab.run(f"sessionStorage.setItem('token', {json.dumps(next(home.rglob('token')).read_text().strip())})")
    return tab


def press(tab: Tab, name: str) -> None:
    """Presses the button of the room with a text, once there is one that can be pressed."""
    found = f"[...document.querySelectorAll('.learn-room button')].find(one => one.innerText.trim() === {name!r})"
    tab.until(f"{found} && !{found}.disabled")
    tab.run(f"{found}.click()")


def opened(tab: Tab, lesson: LessonFile) -> None:
    """Opens a lesson from the list of all."""
    if tab.run("!!document.querySelector('.lesson-text')"):
        press(tab, "All lessons")
    tab.until(DRAWN)
    path = ("code", "play", "files", "send").index(lesson.head.path)
    tab.run(
        f"[...document.querySelectorAll('.lesson-paths > div')[{path}].querySelectorAll('button')]"
        f".find(one => one.innerText.includes({json.dumps(lesson.head.title)})).click()"
    )
    tab.until(f"document.querySelector('.lesson-text h2')?.innerText === {json.dumps(lesson.head.title)}")


def press_key(tab: Tab, letter: str) -> None:
    for kind in ("keyDown", "keyUp"):
        tab.key(kind, letter.lower(), f"Key{letter}")


def write(tab: Tab, text: str) -> None:
    tab.until(f"!!{EDITOR}")
    tab.run(f"{EDITOR}.focus()")
    for kind in ("rawKeyDown", "keyUp"):
        tab.call("Input.dispatchKeyEvent", type=kind, key="a", code="KeyA", windowsVirtualKeyCode=65, modifiers=2)
    tab.call("Input.insertText", text=text)


def passes(tab: Tab, lesson: LessonFile) -> None:
    tab.until(f"({SAID}).startsWith('Right.')", LONG)
    assert lesson.head.why in tab.run(SAID)


def played(tab: Tab, server: ServerProcess, lesson: LessonFile) -> None:
    """Does what a lesson without a script asks for, as a person would."""
    head = lesson.head
    if head.check.kind == "file":
        right = next(one for one in head.work if one.jobs[-1].rsplit("/", 1)[-1] in head.check.expect[0].address)
        press(tab, right.title)
        return
    if head.path == "send" and not head.keys:
        if head.patch and str(server.status()["patch"]).lower() != head.patch:  # the lesson before had another one
            server.send("/patch/load", head.patch)
            until(lambda: str(server.status()["patch"]).lower() == head.patch, 60.0, head.patch)

        def sent() -> bool:
            for line in head.solution.splitlines():
                address, *args = line.removeprefix("/osc").split()
                server.send(address, *(float(arg) if arg.replace(".", "").isdigit() else arg for arg in args))
            return bool(tab.run(f"({SAID}).startsWith('Right.')"))

        until(sent, 90.0, "the messages are heard")
        return
    if str(server.status()["patch"]).lower() != head.patch:
        press(tab, f"Load the patch {head.patch}")
        until(lambda: str(server.status()["patch"]).lower() == head.patch, 60.0, head.patch)
    if head.check.kind == "parameter":
        for line in head.solution.splitlines():
            address, value = line.split()
            tab.until("!!document.querySelector('.lesson-desk .params')")
            tab.run(f"antiphon.send({address!r}, {value})")
    elif head.keys:
        tab.until("!!document.querySelector('.piano')")

        asked = [int(line.split()[2]) for line in head.solution.splitlines() if line.startswith("/note/event")]
        if base := 12 * (max(asked) > KEYS_FROM + len(KEYS)):
            press_key(tab, "X")

        def pressed() -> bool:
            for note in asked:
                press_key(tab, KEYS[note - KEYS_FROM - base])
            return bool(tab.run(f"({SAID}).startsWith('Right.')"))

        until(pressed, 90.0, "the keys are heard")
    else:
        tab.run("antiphon.send('/transport/play')")
        press(tab, "Play a recorded voice")


@pytest.mark.parametrize(
    "lesson",
    [
        pytest.param(one, marks=() if one.head.path == FAST else pytest.mark.real, id=f"{one.head.path}-{one.name}")
        for one in lessons()
    ],
)
def test_a_lesson_plays_through(tab: Tab, server: ServerProcess, lesson: LessonFile) -> None:
    tab.until(DRAWN)
    opened(tab, lesson)
    if lesson.head.check.kind == "events":
        tab.until(f"!!{EDITOR}")
        mistake = lesson.head.wrong[0]
        write(tab, lesson.script(mistake.text))
        press(tab, "Run")
        tab.until(f"({SAID}).startsWith('Not yet.')", 90.0)
        assert mistake.answer in tab.run(SAID)
        write(tab, lesson.script(lesson.head.solution))
        press(tab, "Run")
    elif lesson.head.check.kind == "file":
        wrong = next(one for one in lesson.head.work if one.jobs[-1].rsplit("/", 1)[-1] in lesson.head.wrong[0].text)
        press(tab, wrong.title)
        tab.until(f"({SAID}).startsWith('Not yet.')", LONG)
        assert lesson.head.wrong[0].answer in tab.run(SAID)
        played(tab, server, lesson)
    else:
        played(tab, server, lesson)
    passes(tab, lesson)
    # the tick stands in the list, and after a reload
    press(tab, "All lessons")
    tab.until("document.querySelectorAll('.tick').length === 1")
    tab.reload()
    tab.until("document.querySelectorAll('.tick').length === 1")


@pytest.mark.real
def test_a_fresh_browser_begins_here_and_another_goes_where_it_was(tab: Tab, server: ServerProcess) -> None:
    current = "document.querySelector('.rooms [aria-current]').innerText"
    tab.until(f"{current} === 'Learn'")
    tab.run("[...document.querySelectorAll('.rooms button')].find(one => one.innerText === 'Instrument').click()")
    tab.reload()
    tab.until(f"document.querySelector('.rooms [aria-current]') && {current} === 'Instrument'")
    tab.go("about:blank")
    tab.go(f"http://127.0.0.1:{server.http}/#learn")
    tab.until(f"document.querySelector('.rooms [aria-current]') && {current} === 'Learn'")


@pytest.mark.real
def test_what_was_written_is_there_after_a_reload_and_a_line_of_the_text_plays(tab: Tab) -> None:
    lesson = next(one for one in lessons() if one.head.path == "code")
    tab.until(DRAWN)
    opened(tab, lesson)
    write(tab, lesson.script('track("kick", "bd*3")'))
    tab.until("Object.keys(localStorage).some(key => localStorage[key].includes('bd*3'))")
    tab.reload()
    tab.until(f"{EDITOR}?.innerText.includes('bd*3')")
    press(tab, "Try")
    tab.until(f"{EDITOR}.innerText.includes('\"bd\"') && !{EDITOR}.innerText.includes('bd*3')")
    tab.until(f"({SAID}).startsWith('Not yet.')", 90.0)
    press(tab, "Hint")
    assert lesson.head.hint in tab.run(SAID)


@pytest.mark.real
def test_a_lesson_of_code_asks_for_the_key_once_and_for_what_it_does(tab: Tab) -> None:
    lesson, asked = next(one for one in lessons() if one.head.path == "code"), "document.querySelectorAll('.ask')"
    token = tab.run("sessionStorage.getItem('token')")
    tab.run("sessionStorage.clear()")
    room = "[...document.querySelectorAll('.rooms button')].find(one => one.innerText === '{}').click()"
    tab.run(room.format("Files"))
    tab.until("!!document.querySelector('.recordings button')")
    tab.run("document.querySelector('.recordings button').click()")
    tab.until(f"{asked}[0]?.innerText.includes('Recordings')")
    tab.run(room.format("Learn"))
    tab.until(DRAWN)
    opened(tab, lesson)
    tab.until(f"!!{EDITOR}")
    assert tab.run(f"{asked}.length") == 0, "nothing here has asked for it"
    press(tab, "Run")
    tab.until(f"{asked}[0]?.innerText.includes('A script is a program')")
    assert tab.run(f"{asked}.length") == 1
    press(tab, "Go on")
    tab.until(f"{asked}[0].innerText.includes('No token is typed.')")
    tab.run(f"{asked}[0].querySelector('input').value = {json.dumps(token)}")
    press(tab, "Go on")
    tab.until(f"({SAID}).startsWith('Not yet.')", 90.0)
    tab.run(room.format("Files"))
    tab.until("!!document.querySelector('.dropzone')")
    assert tab.run(f"{asked}.length") == 0, "one token is for all that waits for one"


@pytest.mark.real
def test_a_silent_page_leads_to_listen_and_a_microphone_counts_once_it_is_heard(
    tab: Tab, server: ServerProcess
) -> None:
    lesson = next(one for one in lessons() if one.name == "03-hum-a-piano")
    tab.until(DRAWN)
    opened(tab, lesson)
    press(tab, f"Load the patch {lesson.head.patch}")
    tab.until("document.querySelector('.lesson-desk').innerText.includes('The patch answer plays.')")
    # a microphone that is silent, and then another that is not
    tab.run(
        "window.silent = new AudioContext(); window.level = silent.createGain(); level.gain.value = 0; "
        "const hum = silent.createOscillator(), into = silent.createMediaStreamDestination(); "
        "hum.start(); hum.connect(level).connect(into); "
        "navigator.mediaDevices.getUserMedia = async () => into.stream"
    )
    press(tab, "Use my microphone")
    tab.until(f"({SAID}).includes('Nothing has come from it yet')")
    tab.until("document.querySelector('.unheard').innerText.includes('This page is silent')")
    tab.run("level.gain.value = 0.3")
    tab.until(f"({SAID}).includes('It hears: ') && !({SAID}).includes('Nothing has come')")
    press(tab, "Listen")
    tab.until("!document.querySelector('.unheard')")
    press(tab, "End it")


@pytest.mark.real
def test_what_came_is_shown_while_the_lesson_waits(tab: Tab, server: ServerProcess) -> None:
    lesson = next(one for one in lessons() if one.head.path == "send")
    tab.until(DRAWN)
    opened(tab, lesson)

    def told() -> bool:
        server.send("/helo", 1)
        return "/helo 1 from 127.0.0.1" in tab.run(SAID)

    until(told, 60.0, "what came")
    assert not any(own in tab.run(SAID) for own in ("/ping", "/beat", "/at")), "of the server's other parts"


@pytest.mark.real
def test_the_page_says_how_osc_moves_what_and_what_it_refused(tab: Tab, server: ServerProcess) -> None:
    server.send("/patch/load", "band")
    until(lambda: str(server.status()["patch"]).lower() == "band", 60.0, "band")
    tab.run("[...document.querySelectorAll('.rooms button')].find(one => one.innerText === 'Instrument').click()")
    tab.until("document.querySelector('.macros .label')?.innerText === 'drums'")
    tab.run("document.querySelector('.macros .learn').click()")
    tab.until("document.querySelector('.macros .osc code')?.innerText === '/macro/drums'")
    assert "MIDI is off" in tab.run("document.querySelector('.macros .mapping').innerText")
    titles = tab.run("[...document.querySelectorAll('.mixer .slider')].map(one => one.title).join()")
    assert "/node/pad/level/norm" in titles

    def drawn() -> str:
        """The layout; "" where a busy machine has not written it in the time of a request."""
        where = f"http://127.0.0.1:{server.http}/api/surfaces/band.tosc"
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(where, timeout=60.0) as answer:
            return zlib.decompress(answer.read()).decode()
        return ""

    until(lambda: "/node/macro/drums" in drawn(), 120.0, "the layout")

    def told() -> bool:
        server.send("/1/fader1", 0.5)
        server.send("/at", server.status()["beat"] - 300.0, "/node/pad/level", -20.0)
        said = tab.run("document.querySelector('.log').innerText")
        refused = "/1/fader1 from 127.0.0.1" in said and "was refused: there is no such address" in said
        return refused and "/node/pad/level took effect at once, as its time had passed" in said

    until(told, 60.0, "what was refused, and what was too late")
