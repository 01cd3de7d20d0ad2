"""The page beside a real server that is open to the network: surfaces, MIDI, cues, set lists, notes to come."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tests.chromium import Chromium, Tab, needs_chromium
from tests.waiting import until

from antiphon.client import http as client
from antiphon.files.owner_token import load_token
from antiphon.kernel.io.listening import local_addresses
from antiphon_bench.rig import ServerProcess, message

pytestmark = [pytest.mark.real, pytest.mark.untimed, needs_chromium]

PATCH = """
format = 1
name = "Stage"

[nodes.keys]
type = "synth"

[wires]
"keys" = "out"

[macros]
mix = ["keys.wet", 0, 1]

[scenes.1]
name = "dry at last"
"keys.wet" = 0.25
"""
PHONE = 390, 844
PLAIN = 'format = 1\nname = "{}"\n\n[nodes.gain]\n\n[wires]\n"in" = "gain"\n"gain" = "out"\n'
TURNS = """
format = 1
name = "Turns"

[nodes.keys]
type = "synth"

[nodes.answer]
mode = "trade"
bars = 16  # the turn of a single note ends a beat before its last bar does: a page that is slow sees it nevertheless

[wires]
"answer.notes" = "keys"
"keys" = "out"
"""
SET = 'format = 1\nname = "Evening of two"\npatches = ["first", "second"]\nfade = 0.01\n'
MAPPED = {
    "format": 1,
    "controls": [
        {"port": "pads", "number": 21, "channel": 1, "target": "keys.wet"},
        {"port": "pads", "number": 128 + 40, "channel": 10, "target": "/cue drop"},
    ],
}


class LanRig:
    """A server with `--lan`, and its home."""

    def __init__(self, server: ServerProcess) -> None:
        self.server, self.folder = server, server.home / "config"

    def status(self) -> dict[str, Any]:
        return client.get_answer("/api/status", self.folder, self.server.http)

    def opened(self, browser: Chromium) -> Tab:
        tab = browser.tab()
        tab.call("Security.setIgnoreCertificateErrors", ignore=True)
        tab.size(1440, 900)
        tab.go(f"https://127.0.0.1:{self.server.http}/#token={load_token(self.folder)}&room=instrument")
        tab.until("document.querySelectorAll('.node').length >= 2 && antiphon.connection() === 'open'")
        return tab


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanRig]:
    home = tmp_path_factory.mktemp("stage")
    for folder in ("config", "data/patches/live"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "config" / "midi.json").write_text(json.dumps(MAPPED))
    own = home / "data" / "patches"
    for name in ("first", "second"):
        (own / f"{name}.toml").write_text(PLAIN.format(name))
    (own / "stage.toml").write_text(PATCH)
    (own / "turns.toml").write_text(TURNS)
    (own / "live" / "two.toml").write_text(SET)
    options = ("--lan", "--announce", "none", "--audio", "headless", "--patch", "stage", "--synth", "null", "--midi")
    with ServerProcess(*options, home=home, wait=120.0) as server:
        yield LanRig(server)


@pytest.fixture(scope="module")
def pages(stage: LanRig, chromium: Chromium) -> tuple[Tab, Tab]:
    """Two browsers, for all tests: each opens in seconds on a busy machine."""
    return stage.opened(chromium), stage.opened(chromium)


def test_a_page_of_another_machine_says_on_which_one_its_key_is(stage: LanRig, browser: Chromium) -> None:
    outside = [ip for ip in local_addresses() if not ip.startswith("127.")]
    if not outside:
        pytest.skip("this machine has no address but loopback's, so that no page is another's")
    tab = browser.tab()
    tab.call("Security.setIgnoreCertificateErrors", ignore=True)
    tab.go(f"https://{outside[0]}:{stage.server.http}/")
    tab.until("!!document.querySelector('.ask')")
    said = tab.run("document.querySelector('.ask').innerText")
    assert "On the machine that runs Antiphon, type antiphon qr in a terminal and scan the code" in said
    assert "antiphon page" not in said


def click(tab: Tab, label: str) -> None:
    tab.until(f"document.querySelector('[aria-label={json.dumps(label)}]') !== null")
    tab.run(f"document.querySelector('[aria-label={json.dumps(label)}]').click()")


def test_a_surface_is_approved_and_revoked_by_a_click_in_all_browsers(stage: LanRig, pages: tuple[Tab, Tab]) -> None:
    outside = [ip for ip in local_addresses() if not ip.startswith("127.")]
    if not outside:
        pytest.skip("this machine has no address but loopback's, so that no packet comes from another")
    (ip, *_), (one, two) = outside, pages
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as surface:
        surface.bind((ip, 0))
        surface.sendto(message("/node/keys/wet", 0.5), (ip, stage.server.osc))
        for tab in pages:
            tab.until(f"document.querySelector('.surfaces .held b')?.innerText === '{ip}'")
        click(one, f"Approve {ip}")
        for tab in pages:
            tab.until(f"document.querySelector('.surfaces .approved b')?.innerText === '{ip}'")
        surface.sendto(message("/node/keys/wet", 0.25), (ip, stage.server.osc))
        until(lambda: stage.server.ask("/node/keys/wet")[1] == [0.25], 20.0, "the surface moves it")
        click(two, f"Revoke {ip}")
        for tab in pages:
            tab.until("!document.querySelector('.surfaces .approved')")
        assert client.get_answer("/api/surfaces", stage.folder, stage.server.http)["approved"] == []
        stage.server.send("/node/keys/wet", 1.0)


def test_a_pad_sends_a_cue_and_lights_up_in_all_browsers(stage: LanRig, pages: tuple[Tab, Tab]) -> None:
    one, two = pages
    for tab in pages:
        tab.until("[...document.querySelectorAll('.cue')].some(e => e.innerText.includes('note 40, channel 10'))")
    one.run("document.querySelector('.cues input').value = 'chorus'")
    one.run("document.querySelector('.cues form').requestSubmit()")
    one.until("[...document.querySelectorAll('.pad')].some(b => b.innerText === 'chorus')")
    assert not two.run("[...document.querySelectorAll('.pad')].some(b => b.innerText === 'chorus')")
    two.run(
        "new MutationObserver(() => document.querySelector('.pad.lit') && (window.lit = true))"
        ".observe(document.querySelector('.cues'), {subtree: true, childList: true, attributes: true})"
    )
    one.run(
        "[...document.querySelectorAll('.pad')].find(b => b.innerText === 'chorus')"
        ".dispatchEvent(new PointerEvent('pointerdown', {bubbles: true}))"
    )
    two.until("[...document.querySelectorAll('.pad')].some(b => b.innerText === 'chorus')")
    two.until("window.lit === true")


def test_notes_to_come_are_seen_before_they_sound_and_dropped_by_panic(stage: LanRig, pages: tuple[Tab, Tab]) -> None:
    one, two = pages
    beat = stage.server.ask("/beat")[1][0]
    for note in (60, 64):
        stage.server.send("/at", beat + 400.0, "/note/on", note, 100)
        stage.server.send("/at", beat + 401.0, "/note/off", note)
    for tab in pages:
        tab.until(
            "antiphon.ahead().filter(one => one.velocity).map(one => one.note).join() === '60,64'"
            "&& antiphon.ahead().length === 4"
        )
    one.key("keyDown", "z", "KeyY")  # a German keyboard's, where others have Y: keys play by their place
    for tab in pages:
        tab.until("antiphon.notes().some(one => one.note === 68 && one.played && one.sounds && one.node === 'keys')")
    one.key("keyUp", "z", "KeyY")
    # the transport comes to it
    stage.server.send("/beat", beat + 400.5)
    for tab in pages:
        tab.until("antiphon.notes().some(one => one.note === 64 && one.played)")
    stage.server.send("/at", beat + 1000.0, "/note/on", 72, 100)
    two.until("antiphon.ahead().some(one => one.note === 72)")
    one.run("document.querySelector('.panic').click()")
    two.until("antiphon.ahead().length === 0")
    two.until("antiphon.notes().every(one => !one.sounds)")


def touch(tab: Tab, where: str, text: str) -> None:
    """A tap of a finger on a button, which is on the screen."""
    found = f"[...document.querySelectorAll('{where} button')].find(one => one.innerText === '{text}')"
    tab.until(f"!!{found}")
    x, y = tab.run(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({found}.getBoundingClientRect())")
    assert 0 < x < PHONE[0]
    assert 0 < y < PHONE[1], "it is reached without scrolling"
    tab.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    tab.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def test_a_scene_has_its_name_stays_lit_and_moves_what_is_shown(stage: LanRig, browser: Chromium) -> None:
    phone = stage.opened(browser)
    phone.size(*PHONE, phone=True)
    touch(phone, ".tabs", "Play")
    slider = "document.querySelector('.on-stage [role=slider][aria-label=mix]').innerText"
    phone.until(f"{slider} === '1.0'")
    phone.until("/^\\d+\\.\\d\\n120 bpm\\n.*\\d %/s.test(document.querySelector('.on-stage .line').innerText)")
    touch(phone, ".on-stage", "1\\ndry at last")
    phone.until(f"{slider} === '0.25'")
    phone.until("document.querySelector('.on-stage .stored').ariaPressed === 'true'")
    assert phone.run("document.querySelectorAll('.on-stage [aria-pressed=true]').length") == 1
    touch(phone, ".rooms", "Clips")
    phone.until("document.querySelector('.clip.is-scene')?.innerText.startsWith('dry at last')")
    stage.server.send("/node/keys/wet", 1.0)


@pytest.mark.needs("answer")
def test_a_phone_says_whose_turn_it_is_once_in_every_view(stage: LanRig, browser: Chromium) -> None:
    stage.server.send("/patch/load", "turns", 0.0)
    phone = stage.opened(browser)
    phone.size(*PHONE, phone=True)
    told = "[...document.querySelectorAll('.told p')].filter(p => p.checkVisibility()).map(p => p.innerText).join()"
    for view in ("Patch", "Controls", "Sound", "Desk", "Play"):
        touch(phone, ".tabs", view)
        phone.until(f"{told} === 'Begin when you like'")
    stage.server.send("/note/on", 60, 100)
    phone.until(f"{told} === 'Your turn'")
    for pitch in (62, 64, 65):
        stage.server.send("/note/on", pitch, 100)
    stage.server.send("/tempo", 480.0)
    phone.until(f"{told} === 'It answers: listen'")
    stage.server.send("/tempo", 120.0)
    stage.server.send("/patch/load", "stage", 0.0)


def test_a_phone_records_the_tracks_and_ends_them(stage: LanRig, browser: Chromium) -> None:
    phone = stage.opened(browser)
    phone.size(*PHONE, phone=True)
    touch(phone, ".tabs", "Play")
    touch(phone, ".on-stage", "● Record")
    until(lambda: stage.status()["recording_tracks"], 60.0, "the tracks are recorded")
    stage.server.send("/note/on", 60, 100)
    # a finger that goes to the right over the tracks leaves the page no more than any other
    touch(phone, ".on-stage", "Tracks")
    phone.until("!!document.querySelector('.on-stage .levels')")
    for place in range(40, 380, 12):
        kind = "touchMove" if place > 40 else "touchStart"
        phone.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": place, "y": 500}])
    phone.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    touch(phone, ".on-stage", "Tracks")
    # that it runs, and for how long, is seen in every room, and at once by a page that comes later
    where = "document.querySelector('.hand .record')"
    phone.until(f"/^● End 0:0[1-9]$/.test({where}?.innerText)")
    late = stage.opened(browser)
    late.until("/^● Recording 0:(0[1-9]|[1-5]\\d)$/.test(document.querySelector('.foot .rec')?.innerText)")
    panics = "[...document.querySelectorAll('.panic')].filter(one => one.checkVisibility()).length"
    assert phone.run(panics) == 1, "one panic, in the place that it has in every room"
    phone.run(f"{where}.click()")
    until(lambda: list(stage.server.home.rglob("set.dawproject")), 60.0, "the projects are written")
    phone.until(f"{where}.innerText === '● Record'")
    phone.until("document.querySelector('.toast').innerText.includes('under Recordings')")
    phone.run("document.querySelector('.toast button').click()")
    phone.until("document.querySelector('.app').dataset.room === 'Files'")
    (listed,) = stage.server.home.rglob("tracks.json")
    assert [one["name"] for one in json.loads(listed.read_text())["tracks"]] == ["input", "output", "keys"]
