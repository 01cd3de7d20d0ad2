"""Pictures of every room of the page, empty, full and failed, at three sizes, light and dark, and a sheet of them all.

`make pictures` writes build/pictures/*.png and sheet.png. `ARGS=Files` draws the rooms that are named alone.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.chromium import BINARY, Chromium, Tab
from tests.waiting import until

from antiphon import demo
from antiphon_bench.rig import ServerProcess
from antiphon_library import scanning
from antiphon_library.catalogue import Catalogue

FOLDER = Path("build/pictures")
SIZES = {"1440": (1440, 900), "1280": (1280, 720), "390": (390, 844)}
SCHEMES = ("light", "dark")
SCRIPT = """from antiphon.live import *

tempo(122)
track("kick", s("bd*4"))
track("hats", s("[~ hh]*4 [hh hh oh hh]", gain="[0.6 0.3]*4"))
track("bass", note("a1 ~ e2 a1"), on="bass")
"""
EMPTY = 'format = 1\nname = "Empty"\n'
OPEN = "[...document.querySelectorAll('.code-tools button')].find(one => one.innerText === 'Sets').click()"
FRAMES = "new Promise(done => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 400))"
DROP = """(() => {{ const drop = new DragEvent('drop', {{bubbles: true, dataTransfer: new DataTransfer()}});
const bytes = Uint8Array.from(atob('{data}'), one => one.charCodeAt(0));
drop.dataTransfer.items.add(new File([bytes], '{name}'));
document.querySelector('main.files').dispatchEvent(drop); }})()"""
BUTTON = "[...document.querySelectorAll({within!r})].find(one => one.innerText.trim() === {name!r})?.click()"


def filled(root: Path) -> None:
    """A library of forty analysed tones, in a home."""
    music = root / "music"
    music.mkdir()
    rng = np.random.default_rng(1)
    for n in range(40):
        with soundfile.SoundFile(music / f"{n}.wav", "w", 8000, 1) as file:
            file.title, file.artist = f"Tone {n}", ("Ana Süß", "山田", "Square")[n % 3]
            file.genre = ("Soft", "Hard", "Slow")[n % 3]
            file.write(0.2 * np.sin(2 * np.pi * (200 + 40 * n) * np.arange(8000) / 8000))
    with Catalogue(root / "data" / "library") as catalogue:
        scanning.add(catalogue, [music], lambda *_: None)
        for n, (digest, *_) in enumerate(catalogue.sounds()):
            vector = (3.0 * np.eye(3)[n % 3] + rng.normal(0.0, 0.6, 3)).tolist()
            catalogue.put_results(digest, {"tags": (4, {"tag_embedding": vector}, "")})


class Sheet:
    """Draws what a tab shows at all sizes in both schemes, and keeps which pictures there are."""

    def __init__(self, tab: Tab) -> None:
        self.tab, self.drawn = tab, dict[str, tuple[str, ...]]()

    def draw(self, name: str, before: Callable[[], None] = lambda: None, sizes: tuple[str, ...] = tuple(SIZES)) -> None:
        """Draws one state under a name; `before` makes it, again at each size."""
        self.drawn[name] = sizes
        for size in sizes:
            self.tab.size(*SIZES[size], phone=size == "390")
            for scheme in SCHEMES:
                self.tab.call(
                    "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
                )
                before()
                self.tab.run(FRAMES)
                self.tab.screenshot(FOLDER / f"{name}-{size}-{scheme}.png")

    def write(self) -> None:
        """All pictures in one, a row a state."""
        cells = [
            f"<tr><th>{name}</th>"
            + "".join(
                f"<td><img width={SIZES[size][0] // 4} src='{name}-{size}-{scheme}.png' alt=''></td>"
                for size in sizes
                for scheme in SCHEMES
            )
            for name, sizes in self.drawn.items()
        ]
        page = FOLDER / "sheet.html"
        style = "body{font:14px sans-serif;background:#888}td{vertical-align:top}th{text-align:left;max-width:7rem}"
        page.write_text(f"<meta charset=utf-8><style>{style}</style><table>{''.join(cells)}</table>")
        self.tab.size(1900, 240 * len(cells) + 20)
        self.tab.go(page.resolve().as_uri())
        self.tab.until("[...document.images].length > 0 && [...document.images].every(one => one.complete)")
        self.tab.screenshot(FOLDER / "sheet.png")


def pressed(tab: Tab, within: str, name: str) -> None:
    """Presses the button with a text, where there is one."""
    tab.run(BUTTON.format(within=f"{within} button", name=name))


def entered(tab: Tab, room: str) -> None:
    pressed(tab, ".rooms", room)
    tab.until(f"document.querySelector('.rooms [aria-current]').innerText === {json.dumps(room)}")


def draw(home: Path, sheet: Sheet, wanted: set[str]) -> None:
    """All rooms of a server that plays `band` and has files and a library, and again without."""
    tab = sheet.tab
    has = lambda room: not wanted or room in wanted  # noqa: E731
    (home / "empty.toml").write_text(EMPTY)
    options = ("--audio", "headless", "--live", "--patch", str(home / "empty.toml"))
    with ServerProcess(*options, home=home, wait=120.0) as server:
        token = next(home.rglob("token")).read_text().strip()
        tab.go(f"http://127.0.0.1:{server.http}/#room=instrument")
        tab.until("!!document.querySelector('.rooms')")
        tab.run(f"sessionStorage.setItem('token', '{token}')")
        tab.until("antiphon.connection() === 'open'")
        for room in ("Learn", "Instrument", "Clips", "Code", "Files", "Library"):
            if has(room):
                entered(tab, room)
                sheet.draw(f"{room}-empty")
    filled(home)
    options = ("--audio", "headless", "--live", "--patch", "band")
    with ServerProcess(*options, home=home, wait=120.0) as server:
        tab.go(f"http://127.0.0.1:{server.http}/#room=instrument")
        tab.until("!!document.querySelector('.rooms')")
        tab.run(f"sessionStorage.setItem('token', '{token}')")
        tab.until("document.querySelectorAll('.node').length > 5")
        if has("Learn"):
            entered(tab, "Learn")
            tab.until("document.querySelectorAll('.lesson-paths li').length > 3")
            sheet.draw("Learn")
            for path, there in (
                (0, ".lesson-desk .cm-content"),
                (1, ".lesson-desk .params"),
                (3, ".lesson-desk .params"),
            ):
                row = f"document.querySelectorAll('.lesson-paths > div')[{path}].querySelectorAll('button')"
                tab.run(f"{row}[{(1, 3, 1)[path % 3]}].click()")
                tab.until(f"!!document.querySelector({there!r}) || !!document.querySelector('.lesson-desk .call')")
                if path == 0:
                    tab.until("!document.querySelector('.lesson-run').disabled")
                    pressed(tab, ".lesson-desk", "Run")
                    tab.until("!!document.querySelector('.lesson-said .other')")
                sheet.draw(f"Learn-{path}")
                pressed(tab, ".way", "All lessons")
        for patch in ("band", "answer", "trade"):
            if not has("Instrument"):
                break
            server.send("/patch/load", patch)
            until(lambda patch=patch: str(server.status()["patch"]).lower() == patch, 30.0, patch)  # type: ignore[misc]
            entered(tab, "Instrument")
            sheet.draw(f"Instrument-{patch}")
        server.send("/patch/load", "band")
        if has("Clips"):
            entered(tab, "Clips")
            tab.until("document.querySelectorAll('.drum-pads button').length > 3")
            sheet.draw("Clips-band")
            pressed(tab, ".clips-grid", "Fill it")
            sheet.draw("Clips-full")
        if has("Code"):
            entered(tab, "Code")
            tab.until("!!document.querySelector('.cm-content')")
            gallery = "document.querySelector('.gallery')"
            sheet.draw("Code-gallery", lambda: tab.run(f"{gallery} || {OPEN}"))
            pressed(tab, ".gallery", "×")
            sheet.draw(
                "Patches",
                lambda: tab.run("document.querySelector('.patches') || document.querySelector('.chosen').click()"),
            )
            tab.run("document.querySelector('.chosen').click()")
            pressed(tab, ".code-tools", "New")
            for name, text in (("full", SCRIPT), ("error", SCRIPT + 'track("x", s("bd*4").nosuch(2))\n')):
                tab.run("document.querySelector('.cm-content').focus()")
                tab.run("document.execCommand('selectAll')")
                tab.call("Input.insertText", text=text)
                pressed(tab, ".code", "Run")
                tab.until("document.querySelector('.code-status')?.innerText.match(/plays since|Line \\d/)")
                sheet.draw(f"Code-{name}")
        if has("Stage"):
            entered(tab, "Instrument")
            tab.run("document.querySelector('header .stage').click()")
            sheet.draw("Stage", lambda: pressed(tab, ".tabs", "Play"))
            pressed(tab, ".hand", "Tracks")
            sheet.draw("Stage-tracks", sizes=("390",))
            tab.run("document.querySelector('header .stage').click()")
            for view in ("Controls", "Sound", "Desk"):
                sheet.draw(f"Phone-{view}", lambda view=view: pressed(tab, ".tabs", view), ("390",))  # type: ignore[misc]
        if has("Files"):
            entered(tab, "Files")
            voice = base64.b64encode((Path(demo.__file__).parent / "voice.ogg").read_bytes()).decode()
            tab.run(DROP.format(name="schöne Grüße 日本語 عربي.ogg", data=voice))
            tab.until("document.querySelectorAll('.stored .peaks').length > 0")
            sheet.draw("Files-full")
        if has("Library"):
            entered(tab, "Library")
            tab.until("!!document.querySelector('.library .state')")
            sheet.draw("Library-full")
    sheet.draw("lost")


def main() -> None:
    if not BINARY:
        sys.exit("make pictures draws in Chromium, which is not installed: apt-get install chromium")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, Chromium() as browser:
        sheet = Sheet(browser.tab())
        draw(Path(home), sheet, set(sys.argv[1:]))
        sheet.write()
    print(f"{len(sheet.drawn)} states: {FOLDER / 'sheet.png'}")


if __name__ == "__main__":
    main()
