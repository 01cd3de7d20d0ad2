"""The page's room for files in a real browser, beside a real server: sent, run on, followed, compared, saved."""

import base64
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.chromium import Chromium, Tab, needs_chromium
from tests.waiting import until

from antiphon.files.audiofile import read
from antiphon.web.api.jobs import EXAMPLES
from antiphon_bench.rig import ServerProcess

pytestmark = [pytest.mark.real, pytest.mark.untimed, needs_chromium]

RATE, SECONDS = 48000, 4
LEVEL, GAIN = 0.5, 0.25
TONE_RMS = LEVEL / 2**0.5


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[ServerProcess]:
    record = home / "data/recordings/night.wav"
    record.parent.mkdir(parents=True)
    options = ("--audio", "headless", "--patch", "through", "--record", str(record))
    with ServerProcess(*options, home=home, wait=120.0) as server:
        yield server


@pytest.fixture(scope="module")
def tone(home: Path) -> bytes:
    """A tone whose pitch rises all the time, so that each place of it is another."""
    time = np.arange(RATE * SECONDS) / RATE
    path = home / "tone.wav"
    soundfile.write(path, (LEVEL * np.sin(2 * np.pi * (200 + 100 * time) * time)).astype(np.float32), RATE, "PCM_24")
    return path.read_bytes()


@pytest.fixture(scope="module")
def tab(chromium: Chromium, server: ServerProcess, home: Path, tone: bytes) -> Tab:
    """The room, with the token given and the file `tone.wav` sent."""
    until(lambda: bool(list(home.rglob("token"))), 60.0, "the token is there")
    tab = opened(chromium, server)
    drop(tab, "tone.wav", tone)
    # what changes something needs the token, also on this machine
    tab.until("document.querySelector('.ask')?.innerText.includes('antiphon page')")
    give_token(tab, "0" * 32)
    tab.until("document.querySelector('.ask')?.innerText.includes('not the token')")
    give_token(tab, next(home.rglob("token")).read_text().strip())
    tab.until("!document.querySelector('.ask') && !document.querySelector('.uploads li')")
    tab.until("document.querySelectorAll('.stored li.chosen').length === 1")  # the first is marked by itself
    return tab


def opened(browser: Chromium, server: ServerProcess) -> Tab:
    tab = browser.tab()
    tab.size(1440, 900)
    tab.go(f"http://127.0.0.1:{server.http}/#room=files")
    tab.until("!!document.querySelector('.dropzone') && document.querySelectorAll('.work .what option').length > 5")
    return tab


def give_token(tab: Tab, token: str) -> None:
    tab.run(f"document.querySelector('.ask input').value = '{token}', document.querySelector('.ask button').click()")


def drop(tab: Tab, name: str, data: bytes, on: str = "main.files") -> None:
    tab.run(
        "(() => { const drop = new DragEvent('drop', {bubbles: true, dataTransfer: new DataTransfer()}); "
        f"const bytes = Uint8Array.from(atob('{base64.b64encode(data).decode()}'), one => one.charCodeAt(0)); "
        f"drop.dataTransfer.items.add(new File([bytes], '{name}')); "
        f"document.querySelector('{on}').dispatchEvent(drop) }})()"
    )


def click(tab: Tab, within: str, text: str) -> None:
    found = (
        f"[...document.querySelectorAll('{within} button')].find(one => one.innerText.startsWith({json.dumps(text)}))"
    )
    tab.until(f"!!({found}) && !({found}).disabled")
    tab.run(f"({found}).click()")


def run(tab: Tab, kind: str, name: str) -> str:
    """Runs something by the form, and returns the job's identifier."""
    before = tab.run("document.querySelectorAll('.job').length")
    click(tab, ".kinds", kind)
    tab.until(f"[...document.querySelectorAll('.what option')].some(one => one.value === '{name}')")
    tab.run(
        f"(() => {{ const s = document.querySelector('.what'); s.value = '{name}'; "
        "s.dispatchEvent(new Event('change', {bubbles: true})) })()"
    )
    tab.until(f"document.querySelector('.what').value === '{name}'")
    click(tab, ".work .run-bar", "Run")
    tab.until(f"document.querySelectorAll('.job').length > {before}")
    return str(tab.run("document.querySelector('.job').dataset.job"))


def ended(tab: Tab, job: str) -> str:
    """The state of a job once it is over, as the page shows it."""
    shown = f"document.querySelector('[data-job=\"{job}\"]')"
    return str(tab.until(f"/done|failed|cancelled/.test({shown}?.className) && {shown}.className.split(' ')[1]"))


def player(tab: Tab) -> dict[str, Any]:
    return dict(tab.run("antiphonPlayer()"))


def press(tab: Tab, key: str, code: str) -> None:
    tab.key("keyDown", key, code)
    tab.key("keyUp", key, code)


def set_gain(tab: Tab) -> None:
    """Types the gain, as a double-click on the slider allows."""
    click(tab, ".kinds", "Tool")
    tab.run(
        "(() => { const s = document.querySelector('.what'); s.value = 'gain'; "
        "s.dispatchEvent(new Event('change', {bubbles: true})) })()"
    )
    slider = "document.querySelector('.work [role=slider][aria-label=gain]')"
    tab.until(f"!!{slider}")
    tab.run(f"{slider}.focus()")
    press(tab, "Enter", "Enter")
    tab.until("document.activeElement.matches('.work input.text')")
    tab.run(f"document.activeElement.value = '{GAIN}'")
    press(tab, "Enter", "Enter")
    tab.until(f"{slider}?.ariaValueNow === '{GAIN}'")


@pytest.fixture(scope="module")
def result(tab: Tab) -> str:
    """A job that is done: `tone.wav` at a quarter of its level."""
    set_gain(tab)
    job = run(tab, "Tool", "gain")
    assert ended(tab, job) == "done"
    return job


def test_a_file_is_listed_with_its_length_and_waveform_in_every_browser(
    chromium: Chromium, server: ServerProcess, tab: Tab, tone: bytes
) -> None:
    tab.until("!!document.querySelector('.stored .peaks')")
    tab.until("document.querySelector('.stored li').innerText.includes('4.0 s, mono')")
    click(tab, ".stored", "▶")
    tab.until("antiphonPlayer().playing && antiphonPlayer().rms > 0.3")
    tab.run("document.querySelector('.player .play').click()")
    other = opened(chromium, server)
    other.until("document.querySelectorAll('.stored li').length === 1")
    drop(tab, "notes.txt", b"no sound")
    tab.until("document.querySelector('.uploads .bad')?.innerText.includes('no sound, video or MIDI file')")
    click(tab, ".uploads", "×")
    drop(tab, "second.wav", tone)
    other.until("document.querySelectorAll('.stored li').length === 2")
    # by keyboard: down to the newest file, mark it, delete, and once more to be sure
    tab.until("!document.querySelector('.uploads li') && document.querySelectorAll('.stored input').length === 2")
    # what comes leaves what was chosen
    tab.until("[...document.querySelectorAll('.stored input')].map(one => one.checked).join() === 'false,true'")
    tab.run("document.querySelectorAll('.stored input')[1].click()")
    tab.run("document.querySelectorAll('.stored input')[1].focus()")
    tab.key("keyDown", "ArrowUp", "ArrowUp")
    press(tab, " ", "Space")
    tab.until("document.querySelectorAll('.stored li.chosen').length === 1 && document.activeElement.checked")
    click(tab, ".list h2", "Delete")
    click(tab, ".list h2", "Delete second.wav: sure?")
    for one in (other, tab):  # each is told by itself
        one.until("document.querySelectorAll('.stored li').length === 1")
    tab.run("document.querySelector('.stored .file-name').click()")
    tab.until("document.querySelectorAll('.stored li.chosen').length === 1")


def test_a_sound_that_ships_is_cleaned_by_a_click_and_heard_beside_its_source(tab: Tab) -> None:
    tab.run("document.querySelector('.examples').open = true")
    click(tab, ".examples", "Clean this")
    tab.until("antiphonPlayer().playing && antiphonPlayer().side === 'B'")
    shown = "document.querySelector('.player').innerText"
    assert tab.run(f"{shown}.includes('voice in noise.wav') && {shown}.includes('voice in noise denoise.wav')")
    assert "dB in pauses" in tab.run("document.querySelector('.job-state').title")
    tab.run("document.querySelector('.player .play').click()")
    tab.until("!antiphonPlayer().playing")


def test_plugins_stand_under_what_one_wants_of_a_sound(tab: Tab) -> None:
    groups = (
        "Object.fromEntries([...document.querySelectorAll('.what optgroup')]"
        ".map(one => [one.label, [...one.children].map(each => each.value)]))"
    )
    listed = dict(tab.until(f"document.querySelectorAll('.what optgroup').length > 3 && {groups}"))
    assert list(listed) == ["Clean it", "Take it apart", "Its notes", "Know it", "Change it"]
    assert (listed["Its notes"], listed["Know it"][0]) == (["hum"], "listen")
    assert "reverb" in listed["Change it"]


def test_tempo_key_and_chords_of_a_song_stand_in_the_card(tab: Tab) -> None:
    drop(tab, "band.flac", EXAMPLES["band.flac"].read_bytes())
    shown = "document.querySelector('.stored li')"
    tab.until(f"{shown}.innerText.includes('band.flac') && !document.querySelector('.uploads li')")
    tab.run("document.querySelector('.file-name[title=\"band.flac\"]').click()")
    tab.until(f"{shown}.classList.contains('chosen') && document.querySelectorAll('.stored li.chosen').length === 1")
    before = tab.run("document.querySelectorAll('.job').length")
    click(tab, ".work", "Know this")
    tab.until(f"document.querySelectorAll('.job').length > {before}")
    assert ended(tab, str(tab.run("document.querySelector('.job').dataset.job"))) == "done"
    told = str(tab.until("document.querySelector('.job .chords')?.closest('.heard').innerText"))
    assert all(each in told for each in ("C major", "90.0 bpm", "4/4"))
    assert tab.run("[...document.querySelectorAll('.job .chords b')].map(one => one.innerText)")[:2] == ["Am", "Fmaj7"]
    # a click on a name chooses that one alone, the tick adds
    tab.run("document.querySelector('.file-name[title=\"tone.wav\"]').click()")
    chosen = "[...document.querySelectorAll('.stored li.chosen')].map(one => one.innerText.split('\\n')[0]).join()"
    tab.until(f"{chosen} === 'tone.wav'")


def test_a_file_is_put_into_the_library_and_found_there_by_its_name(tab: Tab, home: Path) -> None:
    click(tab, ".list h2", "Into the library")
    kept = home / "data/library/files/tone.wav"
    until(kept.exists, 60.0, "the file is in the library")
    tab.until("fetch('/api/library/map').then(a => a.json()).then(a => a.tracks.some(one => one.title === 'tone'))")


def test_a_sound_of_ones_own_is_on_a_pad_and_heard_in_a_patch_without_a_sampler(tab: Tab, home: Path) -> None:
    heard, silent = "antiphon.level('files') > 0.01", "antiphon.level('files') < 0.001"
    clip = "[...document.querySelectorAll('.clip.is-sound')].find(one => one.innerText.startsWith('{}'))"
    for name, pitch in (("ding", 500), ("dong", 300)):
        sound = np.sin(2 * np.pi * pitch * np.arange(RATE) / RATE).astype(np.float32)
        soundfile.write(home / f"{name}.wav", sound, RATE)
    tab.run("[...document.querySelectorAll('.rooms button')].find(one => one.innerText === 'Clips').click()")
    tab.until("!!document.querySelector('[data-place=\"5\"]')")
    drop(tab, "ding.wav", (home / "ding.wav").read_bytes(), '[data-place="5"]')
    tab.until(f"!!{clip.format('ding')} && {clip.format('ding')}.dataset.place === '5'")
    assert tab.run("document.querySelector('.input button').ariaPressed") == "false", "it became no input"
    tab.run(f"{clip.format('ding')}.click()")
    tab.until(heard)
    # a second one is read by the sampler that is there, and its pad strikes it
    drop(tab, "dong.wav", (home / "dong.wav").read_bytes(), "main.clips")
    tab.until(f"!!{clip.format('dong')} && {clip.format('dong')}.dataset.place === '1'")
    tab.run(f"{clip.format('ding')}.click()")
    tab.until(f"!document.querySelector('.clip.on') && {silent}")
    dong = "[...document.querySelectorAll('.drum-pads button')].find(one => one.innerText === 'dong')"
    tab.run(f"{dong}.dispatchEvent(new KeyboardEvent('keydown', {{key: 'Enter', bubbles: true}}))")
    tab.until(heard)
    # any sound of the library, by the list of a place or from its card
    for number, wanted in ((3, "own//gong"), (4, "find")):
        choice = f"document.querySelector('[aria-label=\"Clip {number}\"]')"
        tab.until(f"!!{choice}")
        tab.run(f"{choice}.value = '{wanted}', {choice}.dispatchEvent(new Event('change', {{bubbles: true}}))")
        if number == 3:
            tab.until(f"{clip.format('gong')}?.innerText.includes('kit')")
    field = "document.querySelector('.library .search input')"
    tab.until(f"!!{field} && fetch('/api/library/map').then(a => a.json()).then(a => a.tracks.length > 100)")
    tab.run(f"{field}.value = 'zap', {field}.dispatchEvent(new Event('input', {{bubbles: true}}))")
    tab.until("!!document.querySelector('.search li button small')")
    tab.run("document.querySelector('.search li button').click()")
    click(tab, ".library .card", "To a pad")
    tab.until(f"{clip.format('zap')}?.dataset.place === '3'")
    tab.run("[...document.querySelectorAll('.rooms button')].find(one => one.innerText === 'Files').click()")


def test_a_patch_that_had_nothing_to_play_says_so_in_its_card(tab: Tab) -> None:
    job = run(tab, "Patch", "chop")
    assert ended(tab, job) == "done"
    tab.until(f"document.querySelector('[data-job=\"{job}\"]').innerText.includes('slices had no notes to play')")


def test_a_and_b_sound_in_turn_at_the_same_place(tab: Tab, result: str) -> None:
    click(tab, f'[data-job="{result}"]', "A/B")
    tab.until("!!document.querySelector('.player .pictures')")
    assert len(tab.run("[...document.querySelectorAll('.pictures canvas')].map(one => one.width)")) == 4
    tab.run("document.querySelector('.player').focus()")
    press(tab, "m", "KeyM")  # each at its own level
    press(tab, " ", "Space")
    tab.until("antiphonPlayer().playing && antiphonPlayer().rms > 0.02")
    assert player(tab)["side"] == "B"
    for key, level in (("a", TONE_RMS), ("b", TONE_RMS * GAIN), ("a", TONE_RMS)):
        # the place goes on with the clock of the sound, to the sample, and round at the end
        before, after = tab.run(
            f"(() => {{ const pressed = new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}}); "
            "const before = antiphonPlayer(); document.querySelector('.player').dispatchEvent(pressed); "
            "return [before, antiphonPlayer()] })()"
        )
        moved = after["place"] - before["place"] - (after["clock"] - before["clock"])
        assert (moved + SECONDS / 2) % SECONDS - SECONDS / 2 == pytest.approx(0.0, abs=1e-6)
        # the window of the meter still holds the fade for a moment
        now = f"now.side === '{key.upper()}' && Math.abs(now.rms / {level} - 1) < 0.024"
        tab.until(f"(now => {now})(antiphonPlayer())")
    press(tab, "m", "KeyM")  # at the level of the softer one
    tab.until("antiphonPlayer().rms > 0.08 && antiphonPlayer().rms < 0.1")
    # a region: it goes round in it
    press(tab, "Delete", "Delete")
    place = "document.querySelector('.pictures').getBoundingClientRect()"
    left, width, y = (tab.run(f"{place}.{side}") for side in ("left", "width", "top"))
    tab.mouse("mousePressed", left + width / 4, y + 30)
    tab.mouse("mouseMoved", left + width / 2, y + 30)
    tab.mouse("mouseReleased", left + width / 2, y + 30)
    tab.until("antiphonPlayer().region && Math.abs(antiphonPlayer().region[0] - 1) < 0.05")
    for _ in range(20):
        assert 0.9 < tab.until("antiphonPlayer().playing && antiphonPlayer().place") < 2.1


def save_in(browser: Chromium, folder: Path) -> None:
    behavior = {"behavior": "allow", "downloadPath": str(folder), "browserContextId": browser.contexts[0]}
    browser.call("Browser.setDownloadBehavior", **behavior)


def downloaded(browser: Chromium, tab: Tab, job: str, to: Path) -> Path:
    """The result of a job, saved by its button in the folder of `to`."""
    save_in(browser, to.parent)
    click(tab, f'[data-job="{job}"]', "Download")
    until(to.exists, 60.0, "the file is saved")
    size = tab.run(f"fetch('/api/jobs/{job}/result').then(a => a.arrayBuffer()).then(a => a.byteLength)")
    until(lambda: to.stat().st_size == size, 60.0, "all of it")
    return to


def test_a_download_has_the_bytes_of_the_result(
    chromium: Chromium, server: ServerProcess, tab: Tab, result: str, tone: bytes, tmp_path: Path
) -> None:
    samples, _ = soundfile.read(downloaded(chromium, tab, result, tmp_path / "tone gain.wav"))
    source, _ = soundfile.read(io.BytesIO(tone))
    np.testing.assert_allclose(samples[100:-2000], GAIN * source[100:-2000], atol=1e-4)


LISTED = "document.querySelector('.recordings').innerText"


def test_a_recording_that_goes_on_and_a_capture_are_saved_by_a_click(
    chromium: Chromium, server: ServerProcess, tab: Tab, home: Path, tmp_path: Path
) -> None:
    tab.until(f"/recorded since .*goes on/.test({LISTED}) && /night, .*so far \\d/s.test({LISTED})")
    tab.run("antiphon.send('/capture', 1)")
    tab.until("/Captured: out-.*Files/.test(document.querySelector('.toast').innerText)")
    tab.until(f"/Captured out, .*MP3 .*WAV /s.test({LISTED})")
    save_in(chromium, tmp_path)
    tab.run("document.querySelector('[aria-label^=\"Download night.wav: WAV\"]').click()")
    saved = tmp_path / "night.wav"
    until(lambda: saved.exists() and saved.stat().st_size, 60.0, "the recording is saved")
    assert soundfile.info(saved).frames > 0
    assert int.from_bytes(saved.read_bytes()[4:8], "little") == saved.stat().st_size - 8
    (kept,) = (home / "data/library/captures").iterdir()
    tab.run(f"document.querySelector('[aria-label=\"Download {kept.name}\"]').click()")
    small = tmp_path / f"{kept.stem}.mp3"
    until(lambda: small.exists() and soundfile.info(small).frames > 0, 60.0, "the small file is saved")
    tab.run(f"document.querySelector('[aria-label=\"Play {kept.name}\"]').click()")
    tab.until("document.querySelector('.recordings audio')?.currentTime > 0")
    assert abs(tab.run("document.querySelector('.recordings audio').duration") - soundfile.info(kept).duration) < 0.1
    tab.run("document.querySelector('.recordings audio').pause()")
    tab.run(f"document.querySelector('[aria-label^=\"Download {kept.name}: WAV\"]').click()")
    saved = tmp_path / kept.name
    until(lambda: saved.exists() and saved.read_bytes() == kept.read_bytes(), 60.0, "the capture is saved")


def test_what_is_locked_says_so_and_opens_with_the_page_of_the_owner(
    chromium: Chromium, server: ServerProcess, home: Path
) -> None:
    stranger = opened(chromium, server)
    stranger.until(f"{LISTED}.includes('their owner')")
    stranger.run("document.querySelector('.recordings button').click()")
    stranger.until("document.querySelector('.ask')?.innerText.includes('antiphon page')")
    key = json.dumps(next(home.rglob("token")).read_text().strip())
    # as the browser tells every page of the one that `antiphon page` opens
    stranger.run(
        f"localStorage.setItem('page-key', {key}), "
        f"dispatchEvent(new StorageEvent('storage', {{key: 'page-key', newValue: {key}}}))"
    )
    stranger.until(f"!document.querySelector('.ask') && {LISTED}.includes('night, ')")


RECORDER = """(async () => {
  const context = new AudioContext({sampleRate: 48000});
  const into = context.createMediaStreamDestination(), voice = context.createBufferSource();
  voice.buffer = await context.decodeAudioData(await (await fetch('/api/examples/voice.ogg')).arrayBuffer());
  voice.connect(into);
  const recorder = new MediaRecorder(into.stream, {mimeType: 'audio/webm'}), parts = [];
  recorder.ondataavailable = event => parts.push(event.data);
  const ended = new Promise(done => recorder.onstop = done);
  recorder.start();
  voice.start();
  await new Promise(done => voice.onended = done);
  recorder.stop();
  await ended;
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return btoa(Array.from(bytes, one => String.fromCharCode(one)).join(''));
})()"""


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the path: nothing reads these")
@pytest.mark.parametrize("name", ["memo.m4a", "recorded.webm", "talk.mp4"])
def test_what_phones_and_browsers_record_is_cleaned_heard_and_saved(
    chromium: Chromium, server: ServerProcess, tab: Tab, tmp_path: Path, name: str
) -> None:
    voice = EXAMPLES["voice.ogg"]
    if name == "recorded.webm":
        data = base64.b64decode(tab.run(RECORDER))
    else:
        picture = ["-f", "lavfi", "-i", "color=black:s=64x64:r=25:d=3"] if name.endswith("mp4") else []
        words = ["ffmpeg", "-v", "error", "-i", str(voice), *picture, "-c:a", "aac", str(tmp_path / name)]
        subprocess.run(words, check=True)
        data = (tmp_path / name).read_bytes()
    drop(tab, name, data)
    shown = "document.querySelector('.stored li')"
    tab.until(f"{shown}.innerText.includes('{name}') && !!{shown}.querySelector('.peaks')")
    tab.until("!document.querySelector('.uploads li')")
    tab.run("document.querySelectorAll('.stored input:checked').forEach(one => one.click())")
    tab.run(f"{shown}.querySelector('input').click()")
    job = run(tab, "Tool", "denoise")
    assert ended(tab, job) == "done", tab.run(f"document.querySelector('[data-job=\"{job}\"]').innerText")
    click(tab, f'[data-job="{job}"]', "A/B")
    tab.until("document.querySelectorAll('.player .pictures canvas').length === 4")
    tab.run("document.querySelector('.player .play').click()")
    tab.until("antiphonPlayer().playing && antiphonPlayer().side === 'B' && antiphonPlayer().rms > 0.01")
    tab.run("document.querySelector('.player .play').click()")
    ending = tab.run(f"fetch('/api/jobs/{job}').then(a => a.json()).then(a => a.results[0].name)").rpartition(".")[2]
    saved = read(downloaded(chromium, tab, job, tmp_path / f"{name.partition('.')[0]} denoise.{ending}")).samples
    given = read(voice).samples
    assert f".{ending}" == Path(name).suffix
    assert saved.shape[1] == pytest.approx(given.shape[1], abs=0.1 * RATE)  # of the recorder's own beginning and end
    assert np.abs(saved).max() == pytest.approx(np.abs(given).max(), rel=0.3)
