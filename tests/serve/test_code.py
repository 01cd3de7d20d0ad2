"""The page's editor in a real browser: a script is run, fails at its line, is completed, lit, saved, and refused."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.chromium import Chromium, Tab, needs_chromium
from tests.waiting import until

from antiphon.cli.commands import application
from antiphon.files.owner_token import TokenProof, nonce
from antiphon.kernel.runtime import paths
from antiphon.kernel.wire.frames import Framer
from antiphon.kernel.wire.osc import Message, decode, messages_of
from antiphon_bench.rig import ServerProcess, message

pytestmark = [pytest.mark.real, pytest.mark.untimed, needs_chromium]

PATCH = """
format = 1
name = "Page"

[nodes.drums]
type = "sampler"

[nodes.send]
type = "gain"

[wires]
"drums" = "send"
"send" = "out"
"""
SCRIPT = """from antiphon.live import *

tempo(240)
track("kick", s("bd*4 [hh hh]"))
"""
WATCH = """
window.refused = [];
document.addEventListener('securitypolicyviolation', event => refused.push(event.violatedDirective));
window.sent = [];
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) { sent.push(data); return send.call(this, data) };
"""
UNCOVERED = """
[...document.querySelectorAll('.coperformer .call, .coperformer pre, .coperformer canvas')].map(shown => {
  const { x, y } = shown.getBoundingClientRect();
  return document.elementFromPoint(x + 4, y + 4) === shown;
}).join() === 'true,true,true'
"""
"""Button, diff and picture are seen, none over another."""
STOP = """{method: 'POST', body: '{}', headers: {
    'Authorization': 'Bearer ' + localStorage['page-key'], 'Content-Type': 'application/json'}}"""
STATUS = "document.querySelector('.code-status').innerText"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "page.toml").write_text(PATCH)
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[ServerProcess]:
    with ServerProcess(
        "--audio", "headless", "--patch", str(home / "page.toml"), "--live", home=home, wait=120.0
    ) as it:
        yield it


@pytest.fixture(scope="module")
def token(server: ServerProcess, home: Path) -> str:
    return next(home.rglob("token")).read_text().strip()


def opened(browser: Chromium, server: ServerProcess) -> Tab:
    tab = browser.tab()
    tab.size(1280, 800)
    tab.call("Page.enable")
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
    tab.go(f"http://127.0.0.1:{server.http}/#room=code")
    tab.until("!!document.querySelector('.cm-content')")
    tab.until("antiphon.connection() === 'open'")
    return tab


def write(tab: Tab, text: str) -> None:
    """Types a text in place of the one that stands there."""
    tab.until("!!document.querySelector('.cm-content')")
    tab.run("document.querySelector('.cm-content').focus()")
    press(tab, "a", "KeyA", ctrl=True)
    press(tab, "Backspace", "Backspace")
    tab.call("Input.insertText", text=text)


def press(tab: Tab, key: str, code: str, *, ctrl: bool = False, shift: bool = False) -> None:
    number = {"Escape": 27, "Enter": 13, ".": 190, "a": 65, "Backspace": 8, "Home": 36, "End": 35, "z": 90}[key]
    for kind in ("rawKeyDown", "keyUp"):
        tab.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key=key,
            code=code,
            windowsVirtualKeyCode=number,
            modifiers=2 * ctrl + 8 * shift,
        )


def give(tab: Tab, token: str) -> None:
    tab.until("!!document.querySelector('.owner input')")
    field = "const field = document.querySelector('.owner input')"
    tab.run(f"(() => {{ {field}; field.value = '{token}'; field.form.requestSubmit() }})()")


def shown(tab: Tab, selector: str) -> list[str]:
    texts: list[str] = tab.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.textContent)")
    return texts


def playing(server: ServerProcess) -> bool:
    return bool(server.request("GET", "/api/live")[1]["playing"])


def stop(server: ServerProcess) -> None:
    """Ends what a test before this one has left."""
    server.request("POST", "/api/live/stop", {})
    performs(server, False)


def performs(server: ServerProcess, wanted: bool) -> None:
    until(lambda: playing(server) is wanted, 20.0, f"a script plays: {wanted}")


def test_a_script_is_run_heard_lit_and_plays_on_behind_an_error(
    server: ServerProcess, browser: Chromium, token: str
) -> None:
    stop(server)
    tab = opened(browser, server)
    write(tab, SCRIPT)
    press(tab, "Enter", "Enter", ctrl=True)
    give(tab, "0" * 32)
    tab.until("(document.querySelector('.owner') || {}).innerText?.includes('this is not the token')")
    assert not playing(server)
    give(tab, token)
    tab.until(f"/(begins at|plays since) bar \\d+/.test({STATUS})")
    tab.until("antiphon.level('out') > 0.01")
    tab.until("[...document.querySelectorAll('.cm-lit')].some(e => e.textContent === 'bd')")
    tab.until("[...document.querySelectorAll('.cm-lit')].some(e => e.textContent === 'hh')")
    lit = set(shown(tab, ".cm-lit"))
    assert lit <= {"bd", "hh"}, "nothing else sounds"

    write(tab, SCRIPT.replace("[hh hh]", "[hh hh"))
    press(tab, "Enter", "Enter", ctrl=True)
    tab.until(f"{STATUS}.includes('Line 4: the [ is not closed')")
    tab.until(f"{STATUS}.includes('The last good version plays on.')")
    tab.until("!!document.querySelector('.cm-lintRange-error')")  # drawn in a frame of its own
    assert shown(tab, ".cm-lintRange-error") == ["["]
    line = "document.querySelector('.cm-lintRange-error').closest('.cm-line').textContent"
    assert tab.run(line).startswith("track(")
    tab.until("antiphon.level('out') > 0.01")

    write(tab, SCRIPT.replace("bd*4", "cp*4"))
    press(tab, "Enter", "Enter", ctrl=True)
    tab.until("[...document.querySelectorAll('.cm-lit')].some(e => e.textContent === 'cp')")
    tab.until(f"!{STATUS}.includes('Line 4')")
    assert not shown(tab, ".cm-lintRange-error")
    # outside of the room, where another patch may play, it is said and ended too
    room = "[...document.querySelectorAll('.rooms button')].find(one => one.innerText === '{}').click()"
    tab.run(room.format("Instrument"))
    tab.until("/^The script .* plays\\.$/s.test(document.querySelector('.now p')?.innerText)")
    tab.run("document.querySelector('[aria-label=\"Stop the script\"]').click()")
    performs(server, False)
    tab.run(room.format("Code"))
    tab.until(f"{STATUS}.includes('Nothing plays')")
    assert tab.run("refused") == [], "the policy refuses nothing of the editor"
    # the token is nowhere that another page, or the address, could read it
    assert tab.run("localStorage.length && !JSON.stringify(localStorage).includes(sessionStorage.token)")


def test_the_owners_browser_needs_no_token(browser: Chromium, tmp_path: Path) -> None:
    (tmp_path / "page.toml").write_text(PATCH)
    options = ("--audio", "headless", "--patch", str(tmp_path / "page.toml"), "--live")
    with ServerProcess(*options, home=tmp_path, wait=120.0) as server:
        address = next(line for line in server.lines if line.startswith("page ")).removeprefix("page ")
        stranger = opened(browser, server)
        write(stranger, SCRIPT)
        press(stranger, "Enter", "Enter", ctrl=True)
        stranger.until("!!document.querySelector('.owner input')")
        tab = browser.tab()
        tab.size(1280, 800)
        tab.go(address)
        tab.until("window.antiphon?.connection() === 'open'")
        assert "open=" not in tab.run("location.href")
        tab.run("[...document.querySelectorAll('.rooms button')].find(b => b.innerText === 'Code').click()")
        tab.until("!!document.querySelector('.cm-content')")
        write(tab, SCRIPT)
        press(tab, "Enter", "Enter", ctrl=True)
        tab.until("antiphon.level('out') > 0.01")
        assert not tab.run("!!document.querySelector('.owner')")
        key = tab.run("localStorage['page-key']")
        assert key != next(tmp_path.rglob("token")).read_text().strip()
        os.kill(server.status()["web"]["pid"], signal.SIGKILL)  # another web process takes the key too
        tab.until("antiphon.connection() !== 'open'")
        tab.until("antiphon.connection() === 'open'")
        assert tab.run(f"fetch('/api/live/stop', {STOP}).then(answer => answer.ok)")
        performs(server, False)
        # what is opened again is the page of a browser that is known, and of another one that is not
        tab.go(address)
        tab.until("window.antiphon?.connection() === 'open' && !document.querySelector('.toast').innerText")
        tab.run("localStorage.clear()")
        tab.go("about:blank")
        tab.go(address + "&room=code")
        tab.until("document.querySelector('.toast')?.innerText.includes('`antiphon page` opens another')")
        made = CliRunner().invoke(
            application(["page"]),
            ["page", "--no-open", "--http-port", str(server.http)],
            env={paths.HOME: str(tmp_path)},
        )
        assert made.exit_code == 0, made.output
        tab.go("about:blank")
        tab.go(made.stdout.strip())
        tab.until("!!localStorage['page-key'] && antiphon.connection() === 'open'")
        assert tab.run("localStorage['page-key']") == key
        tab.run("localStorage.clear()")


def test_two_pages_edit_one_script_and_what_ran_well_plays_on(
    server: ServerProcess, browser: Chromium, token: str
) -> None:
    stop(server)
    share = "[...document.querySelectorAll('.code-tools button')].find(b => b.innerText === 'Share').click()"
    text = "antiphon.script()"
    one, two = opened(browser, server), opened(browser, server)
    write(one, SCRIPT)
    write(two, "# mine\n")
    for tab, name in ((one, "Ann"), (two, "Bo <b>")):
        tab.run(f"window.prompt = () => '{name}'")
        tab.run("sessionStorage.removeItem('token')")
        tab.run(share)
        give(tab, token)
        tab.until("!!document.querySelector('.together')")
    two.until(f"{text}.startsWith('from antiphon.live') && {text}.includes('bd*4')")
    assert not two.run(f"{text}.includes('# mine')")
    one.until("document.querySelector('.together').innerText === 'with Bo <b>'")
    two.until("document.querySelector('.together').innerText === 'with Ann'")
    two.until("document.querySelector('.cm-person')?.textContent === 'Ann'")
    # both type at once, at two places
    for tab, key in ((one, "End"), (two, "Home")):
        tab.run("document.querySelector('.cm-content').focus()")
        press(tab, key, key, ctrl=True)
    for letter in "# two":
        one.call("Input.insertText", text="# one"["# two".index(letter)])
        two.call("Input.insertText", text=letter)
    two.call("Input.insertText", text="\n")
    for tab in (one, two):
        tab.until(f"{text}.startsWith('# two\\n') && {text}.includes('# one')")
    assert one.run(text) == two.run(text)
    press(one, "Enter", "Enter", ctrl=True)
    performs(server, True)
    two.until("antiphon.level('out') > 0.01")
    # the other breaks it and runs it: what ran well plays on, for both
    press(two, "Home", "Home", ctrl=True)
    two.call("Input.insertText", text="oops(\n")
    one.until(f"{text}.startsWith('oops(')")
    press(two, "Enter", "Enter", ctrl=True)
    two.until(f"{STATUS}.includes('The last good version plays on.')")
    assert playing(server)
    two.until("antiphon.level('out') > 0.01")
    assert not two.run(f"{STATUS}.includes('Another browser')"), "it is their common script that plays"
    assert not [*one.run("refused"), *two.run("refused")], "the page's policy holds"
    two.run(share)
    one.until("document.querySelector('.together').innerText === 'nobody else yet'")
    one.until("!document.querySelector('.cm-person')")
    write(two, "# apart\n")
    assert not one.run(f"{text}.includes('# apart')")
    stop(server)


PROGRAM = '// four\n$: s("bd*4").frobnicate(2)\n$: n("0 2").scale("c:minor")'


def test_a_pasted_program_is_translated_by_a_click_and_undone(
    server: ServerProcess, browser: Chromium, token: str
) -> None:
    tab, text, bar = opened(browser, server), "antiphon.script()", "document.querySelector('.code .off')"
    write(tab, "# mine\n")

    def paste(given: str) -> None:
        tab.run(
            f"(() => {{ const clipboardData = new DataTransfer(); clipboardData.setData('text', {json.dumps(given)});"
            "const event = new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true});"
            "document.querySelector('.cm-content').dispatchEvent(event) })()"
        )

    paste('track("hats", s("hh*8"))\n')
    tab.until(f"{text}.includes('hh*8')")
    assert not tab.run(f"!!{bar}"), "a live script is no other language"
    before = tab.run(text)
    tab.run("sessionStorage.setItem('token', '" + token + "')")
    paste(PROGRAM)
    # a process starts for it, so the translation begins before it is wanted
    asked = "performance.getEntriesByType('resource').filter(one => one.name.endsWith('/api/live/paste')).length"
    tab.until(f"{asked} >= 1")
    assert tab.run(text) == before + PROGRAM
    tab.until(f"{bar}?.innerText.startsWith('This is Strudel.')")
    tab.run(f"{bar}.querySelector('button').click()")
    tab.until(f"""{text}.includes('track("track1", s("bd*4"))') && !{bar}""")
    assert tab.run(text).startswith(before)
    assert "# .frobnicate(2): a pattern has no frobnicate here" in tab.run(text)
    tab.until("document.querySelector('.toast')?.innerText.includes('its reason in the text: 1.')")
    tab.run("document.querySelector('.cm-content').focus()")
    press(tab, "z", "KeyZ", ctrl=True)
    tab.until(f"{text} === {json.dumps(before + PROGRAM)}")
    press(tab, "a", "KeyA", ctrl=True)
    tab.call("Input.insertText", text="# one\n# two\n")
    tab.until(f"{text} === '# one\\n# two\\n'")
    assert not tab.run("refused"), "the page's policy holds"


def test_what_a_terminal_plays_is_shown_until_it_ends(server: ServerProcess, browser: Chromium, token: str) -> None:
    stop(server)
    tab = opened(browser, server)
    with socket.create_connection(("127.0.0.1", server.osc)) as terminal:

        def send(*words: str) -> None:
            packet = message(*words)
            terminal.sendall(len(packet).to_bytes(4, "big") + packet)

        asked, framer, heard = nonce(), Framer(), list[Message]()
        send("/live/join", asked)
        while not heard:
            heard += [one for packet in framer.feed(terminal.recv(1 << 16)) for one in messages_of(decode(packet))]
        send("/live/perform", TokenProof(token, server.osc, asked, str(heard[0].args[0])).make("performer"))
        send("/live/plays", "mine.py", "kick drums\nhats drums", "one line")
        tab.until(f"{STATUS}.includes('A terminal plays mine.py.') && {STATUS}.includes('one line')")
        assert shown(tab, ".tracks li") == ["kick drums", "hats drums"]
    tab.until(f"{STATUS}.includes('Nothing plays.')")
    tab.run(f"location.hash = 'room=code&token={token}'")
    tab.reload()
    tab.until("window.antiphon?.connection() === 'open' && location.hash === '#room=code'")
    tab.reload()
    tab.until("!!document.querySelector('.cm-content')")


def test_a_script_is_rehearsed_and_what_an_assistant_lands_waits_for_a_click(
    browser: Chromium, server: ServerProcess, token: str
) -> None:
    def ask(path: str, body: dict[str, object] | None = None) -> dict[str, object]:
        return server.request("POST" if body else "GET", path, body)[1]

    tab = opened(browser, server)
    quiet = SCRIPT.replace('hh]"', 'hh]", gain=0.3')
    write(tab, quiet)
    click = "[...document.querySelectorAll('button')].find(e => e.textContent.trim() === '{}').click()"
    tab.run(click.format("Rehearse"))
    give(tab, token)
    tab.until(f"{STATUS}.includes('Rehearsed 4 bars: it can be played.')", 120.0)
    ask("/api/osc", {"address": "/mcp/ask"})
    proposal = ask("/api/mcp/propose", {"script": quiet.replace("bd*4", "bd*2"), "bars": 2})
    while proposal["state"] == "rehearsing":
        proposal = ask(f"/api/mcp/proposals/{proposal['id']}")
    assert ask("/api/mcp/land", {"id": proposal["id"], "quantum": 1})["state"] == "waiting"
    tab.until("document.querySelector('.coperformer pre')?.textContent.includes('bd*2')", 60.0)
    tab.until("document.querySelector('.coperformer canvas')?.width === 480", 60.0)
    for width in (390, 1280):
        tab.size(width, 800, phone=width == 390)
        tab.until(UNCOVERED)
    tab.run(click.format("Land"))
    until(lambda: ask("/api/live")["by"] == "co-performer", 60.0, "the change plays")
    assert "bd*2" in str(ask("/api/live/script")["text"])
    tab.run(click.format("Undo its change"))
    until(lambda: ask("/api/live")["by"] != "co-performer", 60.0, "what played before plays again")
    mode = "document.querySelector('.coperformer select')"
    for one in ("hold", "off"):
        tab.run(f"{mode}.value = '{one}'; {mode}.dispatchEvent(new Event('change', {{bubbles: true}}))")
        until(lambda one=one: ask("/api/mcp")["mode"] == one, 60.0, f"the co-performer is on {one}")
    ask("/api/osc", {"address": "/cue", "args": ["mcp.hold"]})  # as a pad that has learned it sends
    tab.until(f"{mode}.value === 'hold'")
