"""Pictures of every room of the page, empty, full and failed, at three sizes, light and dark, and a sheet of them all.

`make pictures` writes build/pictures/*.png and sheet.png; `ARGS=Files` draws the rooms that are named alone.
`ARGS="--since v0.1.0 Files"` has a commit or a tag draw them as well, in build/before, and writes changed.png: what
differs, each beside what it was, with what changed framed.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.chromium import BINARY, Chromium, Tab
from tests.waiting import until

from antiphon import demo
from antiphon.kernel.runtime import resources
from antiphon_bench.rig import ServerProcess

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "pictures"
BEFORE = ROOT / "build" / "before"
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
CHANGED = """(async (urls) => {
const [one, other] = await Promise.all(urls.map(async (url) => {
  const image = await createImageBitmap(await (await fetch(url)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height), paint = canvas.getContext('2d');
  paint.drawImage(image, 0, 0);
  return paint.getImageData(0, 0, image.width, image.height); }));
const side = 32, wide = Math.ceil(one.width / side), high = Math.ceil(one.height / side), on = new Set();
if (one.width !== other.width || one.height !== other.height) return [[0, 0, one.width, one.height]];
for (let n = 0; n < one.data.length; n++) if (Math.abs(one.data[n] - other.data[n]) > 24)
  on.add(Math.floor(n / 4 % one.width / side) + wide * Math.floor(n / 4 / one.width / side));
const boxes = [];
for (const first of on) {
  const box = [wide, high, 0, 0], next = [first];
  on.delete(first);
  while (next.length) {
    const at = next.pop(), x = at % wide, y = Math.floor(at / wide);
    box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x + 1); box[3] = Math.max(box[3], y + 1);
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [1, -1], [-1, 1], [-1, -1]]) {
      const near = x + dx + wide * (y + dy);
      if (x + dx >= 0 && x + dx < wide && on.delete(near)) next.push(near);
    }
  }
  boxes.push(box.map((one) => one * side));
}
return boxes; })"""
"""Frames around the differences of two pictures: left, top, right and bottom in pixels."""
BUTTON = "[...document.querySelectorAll({within!r})].find(one => one.innerText.trim() === {name!r})?.click()"


class Sheet:
    """Draws the contents of a tab at all sizes in both schemes, and lists the pictures."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.drawn: dict[str, tuple[str, ...]] = {}

    def draw(self, name: str, before: Callable[[], None] = lambda: None, sizes: tuple[str, ...] = tuple(SIZES)) -> None:
        """Draws one state under a name; `before` sets it up, again at each size."""
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

    def names(self) -> list[tuple[str, str]]:
        """Names and sizes of all pictures."""
        drawn = [(name, size) for name, sizes in self.drawn.items() for size in sizes]
        return [(f"{name}-{size}-{scheme}", size) for name, size in drawn for scheme in SCHEMES]

    def compare(self, before: Path) -> None:
        """Writes the changes since the pictures in a folder: each beside the earlier one, framed."""
        rows: list[tuple[str, str, Path, Path, Any]] = []
        for name, size in self.names():
            old, new = before / f"{name}.png", FOLDER / f"{name}.png"
            if not old.exists():
                rows.append((name, size, old, new, []))
                continue
            if old.read_bytes() == new.read_bytes():
                continue
            urls = [f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" for path in (old, new)]
            boxes = self.tab.run(f"{CHANGED}({json.dumps(urls)})")
            if boxes:
                rows.append((name, size, old, new, boxes))
        scale = 0.4
        cells = []
        for name, size, old, new, boxes in rows:
            wide = round(SIZES[size][0] * scale)
            frames = "".join(
                "<i style='left:{}px;top:{}px;width:{}px;height:{}px'></i>".format(
                    *(length * scale for length in (x, y, r - x, b - y))
                )
                for x, y, r, b in boxes
            )
            pair = (
                f"<img width={wide} src='{old.as_uri()}' alt=''>",
                f"<img width={wide} src='{new.as_uri()}' alt=''>",
            )
            cells.append(f"<h2>{name}</h2><div><b>{pair[0]}</b> <b>{pair[1]}{frames}</b></div>")
        style = "body{font:14px sans-serif;background:#888}b{position:relative;display:inline-block}"
        self._drawn(
            "changed", f"<style>{style}i{{position:absolute;outline:2px solid red}}</style>{''.join(cells)}", 1240
        )
        print(f"{len(rows)} pictures of {len(self.names())} have changed: {FOLDER / 'changed.png'}")

    def _drawn(self, name: str, body: str, width: int) -> None:
        page = FOLDER / f"{name}.html"
        page.write_text(f"<meta charset=utf-8>{body}")
        self.tab.size(width, 400)
        self.tab.go(page.as_uri())
        self.tab.until(
            f"location.href === {page.as_uri()!r} && document.readyState === 'complete'"
            " && [...document.images].every(one => one.complete)"
        )
        self.tab.size(width, max(400, int(self.tab.run("document.documentElement.scrollHeight"))))
        self.tab.screenshot(FOLDER / f"{name}.png")

    def write(self) -> None:
        """Writes all pictures in one, with a row per state."""
        cells = [
            f"<tr><th>{name}</th>"
            + "".join(
                f"<td><img width={SIZES[size][0] // 4} src='{name}-{size}-{scheme}.png' alt=''></td>"
                for size in sizes
                for scheme in SCHEMES
            )
            for name, sizes in self.drawn.items()
        ]
        style = "body{font:14px sans-serif;background:#888}td{vertical-align:top}th{text-align:left;max-width:7rem}"
        self._drawn("sheet", f"<style>{style}</style><table>{''.join(cells)}</table>", 1900)


def press(tab: Tab, within: str, name: str) -> None:
    """Presses the button with a text, where there is one."""
    tab.run(BUTTON.format(within=f"{within} button", name=name))


def enter(tab: Tab, room: str) -> None:
    press(tab, ".rooms", room)
    tab.until(f"document.querySelector('.rooms [aria-current]').innerText === {json.dumps(room)}")


def _learn(sheet: Sheet, server: ServerProcess) -> None:
    tab = sheet.tab
    enter(tab, "Learn")
    tab.until("document.querySelectorAll('.lesson-paths li').length > 3")
    sheet.draw("Learn")
    for path, there in ((0, ".lesson-desk .cm-content"), (1, ".lesson-desk .params"), (3, ".lesson-desk .params")):
        row = f"document.querySelectorAll('.lesson-paths > div')[{path}].querySelectorAll('button')"
        tab.run(f"{row}[{(1, 3, 1)[path % 3]}].click()")
        tab.until(f"!!document.querySelector({there!r}) || !!document.querySelector('.lesson-desk .call')")
        if path == 0:
            tab.until("!document.querySelector('.lesson-run').disabled")
            press(tab, ".lesson-desk", "Run")
            tab.until("!!document.querySelector('.lesson-said .other')")
        sheet.draw(f"Learn-{path}")
        press(tab, ".way", "All lessons")


def _instrument(sheet: Sheet, server: ServerProcess) -> None:
    tab = sheet.tab
    for patch in ("band", "answer", "pump"):
        server.send("/patch/load", patch)
        until(lambda patch=patch: str(server.status()["patch"]).lower() == patch, 30.0, patch)  # type: ignore[misc]
        enter(tab, "Instrument")
        tab.until(f"document.querySelector('.chosen').innerText.toLowerCase() === {patch!r}")
        sheet.draw(f"Instrument-{patch}")
    server.send("/patch/load", "band")


def _clips(sheet: Sheet, server: ServerProcess) -> None:
    tab = sheet.tab
    enter(tab, "Clips")
    tab.until("document.querySelectorAll('.drum-pads button').length > 3")
    sheet.draw("Clips-band")
    tab.run("document.querySelector('.clip.is-steps').click()")
    tab.until("!!document.querySelector('.clip.on')")
    sheet.draw("Clips-full")


def _code(sheet: Sheet, server: ServerProcess) -> None:
    tab = sheet.tab
    enter(tab, "Code")
    tab.until("!!document.querySelector('.cm-content')")
    gallery = "document.querySelector('.gallery')"
    sheet.draw("Code-gallery", lambda: tab.run(f"{gallery} || {OPEN}"))
    press(tab, ".gallery", "×")
    opens = "document.querySelector('.patches') || document.querySelector('.chosen').click()"
    tab.run(opens)
    tab.until("!!document.querySelector('.sketch rect')")
    sheet.draw("Patches", lambda: tab.run(opens))
    tab.run("document.querySelector('.chosen').click()")
    press(tab, ".code-tools", "New")
    for name, text in (("full", SCRIPT), ("error", SCRIPT + 'track("x", s("bd*4").nosuch(2))\n')):
        tab.run("document.querySelector('.cm-content').focus()")
        tab.run("document.execCommand('selectAll')")
        tab.call("Input.insertText", text=text)
        press(tab, ".code", "Run")
        tab.until("document.querySelector('.code-status')?.innerText.match(/plays since|Line \\d/)")
        sheet.draw(f"Code-{name}")


def _stage(sheet: Sheet, server: ServerProcess) -> None:
    tab = sheet.tab
    enter(tab, "Instrument")
    tab.run("document.querySelector('header .stage').click()")
    sheet.draw("Stage", lambda: press(tab, ".tabs", "Play"))
    press(tab, ".hand", "Tracks")
    sheet.draw("Stage-tracks", sizes=("390",))
    tab.run("document.querySelector('header .stage').click()")
    for view in ("Controls", "Sound", "Desk"):
        sheet.draw(f"Phone-{view}", lambda view=view: press(tab, ".tabs", view), ("390",))  # type: ignore[misc]


def _files(sheet: Sheet, server: ServerProcess) -> None:
    tab = sheet.tab
    enter(tab, "Files")
    voice = base64.b64encode((Path(demo.__file__).parent / "voice.ogg").read_bytes()).decode()
    tab.run(DROP.format(name="schöne Grüße 日本語 عربي.ogg", data=voice))
    tab.until("document.querySelectorAll('.stored .peaks').length > 0", 600.0)  # work on files gives way to all else
    sheet.draw("Files-full")


def _library(sheet: Sheet, server: ServerProcess) -> None:
    tab = sheet.tab
    enter(tab, "Library")
    tab.until("!!document.querySelector('.library .state')")
    sheet.draw("Library-full")


DRAWN: dict[str, Callable[[Sheet, ServerProcess], None]] = {
    "Learn": _learn,
    "Instrument": _instrument,
    "Clips": _clips,
    "Code": _code,
    "Stage": _stage,
    "Files": _files,
    "Library": _library,
}
"""Functions that draw each room, in order, on a server that plays `band`."""


def draw(home: Path, sheet: Sheet, wanted: set[str]) -> None:
    """Draws all rooms on a server that plays `band` and has files and a library, and first on one without."""
    tab = sheet.tab
    wanted = wanted or set(DRAWN)
    (home / "empty.toml").write_text(EMPTY)
    options = ("--audio", "headless", "--live", "--patch", str(home / "empty.toml"))
    with ServerProcess(*options, home=home, wait=120.0) as server:
        token = next(home.rglob("token")).read_text().strip()
        tab.go(f"http://127.0.0.1:{server.http}/#room=instrument")
        tab.until("!!document.querySelector('.rooms')")
        tab.run(f"sessionStorage.setItem('token', '{token}')")
        tab.until("antiphon.connection() === 'open'")
        for room in ("Learn", "Instrument", "Clips", "Code", "Files", "Library"):
            if room in wanted:
                enter(tab, room)
                if room == "Library":
                    tab.until("!!document.querySelector('.library .state')")
                sheet.draw(f"{room}-empty")
    options = ("--audio", "headless", "--live", "--patch", "band")
    with ServerProcess(*options, home=home, wait=120.0) as server:
        tab.go(f"http://127.0.0.1:{server.http}/#room=instrument")
        tab.until("!!document.querySelector('.rooms')")
        tab.run(f"sessionStorage.setItem('token', '{token}')")
        tab.until("document.querySelectorAll('.node').length > 5")
        for room, drawn in DRAWN.items():
            if room in wanted:
                drawn(sheet, server)
    sheet.draw("lost")


def draw_at_commit(ref: str, rooms: list[str]) -> Path:
    """Draws the pictures of another commit, in a separate working tree; returns their folder."""
    git = ("git", "-C", str(ROOT))
    subprocess.run((*git, "worktree", "remove", "--force", str(BEFORE)), check=False, capture_output=True)
    subprocess.run((*git, "worktree", "add", "--detach", "--quiet", str(BEFORE), ref), check=True)
    roots = os.pathsep.join(map(str, (*resources.source_folders(BEFORE), BEFORE)))
    words = (sys.executable, "tools/page_pictures.py", *rooms)
    subprocess.run(words, cwd=BEFORE, env={**os.environ, "PYTHONPATH": roots}, check=True)
    return BEFORE / "build" / "pictures"


def main() -> None:
    if not BINARY:
        sys.exit("make pictures draws in Chromium, which is not installed: apt-get install chromium")
    rooms, before = sys.argv[1:], None
    if rooms[:1] == ["--since"]:
        before = draw_at_commit(rooms[1], rooms[2:])
        rooms = rooms[2:]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, Chromium() as browser:
        sheet = Sheet(browser.tab())
        draw(Path(home), sheet, set(rooms))
        sheet.write()
        print(f"{len(sheet.drawn)} states: {FOLDER / 'sheet.png'}")
        if before is not None:
            sheet.compare(before)
            subprocess.run(("git", "-C", str(ROOT), "worktree", "remove", "--force", str(BEFORE)), check=True)


if __name__ == "__main__":
    main()
