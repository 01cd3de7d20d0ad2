"""The room Library in a real browser: typed, found, clicked, played, and what comes next."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.chromium import Chromium, needs_chromium
from tests.waiting import until

from antiphon_bench.rig import ServerProcess
from antiphon_library import scanning
from antiphon_library.catalogue import Catalogue
from antiphon_library.tests.conftest import without_shipped

pytestmark = [pytest.mark.real, needs_chromium]
DRAGGED = """(() => { const data = new DataTransfer(), line = document.querySelector('li[draggable]');
line.dispatchEvent(new DragEvent('dragstart', {bubbles: true, dataTransfer: data}));
document.body.dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: data})); })()"""
TYPED = """(() => { const field = document.querySelector('.search input'); field.value = 'sine';
field.dispatchEvent(new Event('input', {bubbles: true})); })()"""


def test_an_artist_is_typed_and_its_track_played_and_liked_and_what_fits_is_dragged(tmp_path: Path) -> None:
    music, root = tmp_path / "music", tmp_path / "data" / "library"
    music.mkdir()
    rng = np.random.default_rng(1)
    for n in range(9):
        tone = 0.2 * np.sin(2 * np.pi * (200 + 40 * n) * np.arange(30 * 8000) / 8000)
        with soundfile.SoundFile(music / f"{n}.wav", "w", 8000, 1) as file:
            file.title, file.artist, file.genre = (
                f"Tone {n}",
                ("Sine", "Saw", "Square")[n % 3],
                ("Soft", "Hard")[n % 3 > 0],
            )
            file.write(tone)
    with Catalogue(root) as catalogue:
        without_shipped(root)
        scanning.add(catalogue, [music], lambda *_: None)
        for n, (digest, *_) in enumerate(catalogue.sounds()):
            vector = (3.0 * np.eye(3)[n % 3] + rng.normal(0.0, 0.3, 3)).tolist()
            loop = {"loop_bpm": 120.0 if n % 3 else 150.0, "loop_chroma": [], "loop_pattern": [1.0, 0.0] * 8}
            loop["loop_confidence"] = 0.1
            music = {"tempo": loop["loop_bpm"], "tempo_confidence": 0.9}
            results = {"tags": {"tag_embedding": vector}, "loop": loop, "music": music}
            catalogue.put_results(digest, {name: (4, values, "") for name, values in results.items()})
    # a click a little before each beat, round and round: a loop at the server's tempo, whose bars are cut elsewhere
    beats = (np.arange(2 * 8000) + 500) % 4000
    soundfile.write(tmp_path / "in.wav", 0.5 * np.exp(-beats / 200.0) * np.sin(0.3 * beats), 8000)
    options = ("--audio", "headless", "--patch", "through", "--input", str(tmp_path / "in.wav"))
    with ServerProcess(*options, home=tmp_path, wait=120.0) as server, Chromium() as browser:
        tab = browser.tab()
        tab.size(1200, 800)
        tab.go(f"http://127.0.0.1:{server.http}/#room=library")
        tab.until("(document.querySelector('.library .state') || {}).innerText?.includes('9 sounds')")
        tab.run(TYPED)
        tab.until("document.querySelector('.search li button').innerText.startsWith('Sine')")
        tab.run("document.querySelector('.search li button').click()")
        tab.until("document.querySelector('.card .title').innerText === 'Sine'")
        tab.until("document.querySelectorAll('.card .lines li').length === 3")
        assert tab.run("document.querySelector('.card .links').innerText") == "Soft"
        assert tab.run("document.querySelectorAll('.card .chips button').length") == 2
        # the map is drawn: its canvas has points of several colours
        tab.until(
            "new Set(new Uint32Array(document.querySelector('.map canvas').getContext('2d')"
            ".getImageData(0, 0, 800, 600).data.buffer)).size > 10"
        )
        tab.run("document.querySelector('.map canvas').focus()")
        tab.key("keyDown", "0", "Digit0")
        tab.key("keyDown", "Enter", "Enter")
        tab.until("(document.querySelector('.card .call') || {}).innerText === 'Stop'")
        # what analyses call a number
        tab.until("/Tempo\\s+1[25]0 bpm/.test(document.querySelector('.card dl').innerText)")
        tab.run("document.querySelector('.card .call').click()")
        tab.until("document.querySelector('.card .call').innerText === 'Play'")
        tab.run("[...document.querySelectorAll('.card .group button')].find(b => b.innerText === 'Like').click()")
        tab.until("!!document.querySelector('.panel form input[type=password]')")
        token = next(tmp_path.rglob("token")).read_text().strip()
        tab.run(f"sessionStorage.setItem('token', '{token}')")
        tab.run("[...document.querySelectorAll('.card .group button')].find(b => b.innerText === 'Like').click()")
        tab.until("document.querySelectorAll('.panel > .lines li').length === 8")
        # what goes with what sounds is listed, and what is dragged from there becomes the input
        until(lambda: server.ask("/beat")[1][0] > 17, 30.0, "four bars have sounded")
        tab.run("[...document.querySelectorAll('button')].find(b => b.innerText === 'What fits now').click()")
        tab.until("document.querySelectorAll('li[draggable]').length === 9")
        listed = tab.run("[...document.querySelectorAll('li[draggable]')].map(line => line.innerText)")
        assert "same tempo" in listed[0]
        assert "tempo 25 % quicker" in listed[-1]
        tab.run(DRAGGED)
        tab.until("document.querySelector('.input button').innerText === 'File on'")
        tab.until("antiphon.level('in') > 0.1")
