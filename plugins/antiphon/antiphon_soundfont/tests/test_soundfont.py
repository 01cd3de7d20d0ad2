"""The node `soundfont`: pitches, programs, drums, bends of one note, the same samples every time, and bad files."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from antiphon.api import Event, FileError, ParamError, Samples, StreamSpec
from antiphon.api.backends.analysis import LoudnessMeter
from antiphon.api.backends.files import MidiNote, MidiTrack, read_sound, write_midi
from antiphon.api.backends.synths import SynthSettings
from antiphon.signal.loudness import peak_curve
from antiphon.testing import render
from antiphon_models.learning.user_commands import command
from antiphon_soundfont.backend import FluidSynth
from antiphon_soundfont.info import MAX_BYTES, SOUNDFONT, check, find_soundfont, library_file
from antiphon_soundfont.library import GRID
from antiphon_soundfont.processor import Soundfont
from antiphon_soundfont.tests import made_font

needs_fluidsynth = pytest.mark.skipif(library_file() is None, reason="FluidSynth is not installed")
RATE = 48000
SPEC = StreamSpec(RATE, 256, 2)
DRY = {"reverb": False, "chorus": False}


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> str:
    return made_font.write(tmp_path_factory.mktemp("font"))


def played(font: str, notes: list[Event], seconds: float = 0.5, blocks: Any = None, **values: Any) -> Samples:
    node = Soundfont()
    silence = np.zeros((2, round(seconds * RATE)), np.float32)
    try:
        sound = render(node, SPEC, silence, {"file": font, **DRY, **values}, blocks=blocks, notes=notes).audio[0]
        return sound[:, node.latency :]
    finally:
        node.close()


def on(at: int, note: int, channel: int = 1, velocity: float = 0.8) -> Event:
    return Event("on", at, note, velocity, channel)


def pitches(sound: Samples, first: int, last: int) -> list[float]:
    """MIDI pitches of the partials above -20 dB of the strongest, in order, by the spectrum's peaks."""
    x = sound[0, first:last] * np.hanning(last - first)
    size = 1 << 18
    spectrum = np.abs(np.fft.rfft(x, size))
    peaks = np.flatnonzero((spectrum[1:-1] > spectrum[:-2]) & (spectrum[1:-1] >= spectrum[2:])) + 1
    peaks = peaks[spectrum[peaks] > 0.1 * spectrum.max()]
    return [69.0 + 12.0 * np.log2(peak * RATE / size / 440.0) + made_font.FLAT / 100.0 for peak in peaks]


@needs_fluidsynth
def test_notes_have_their_pitch_and_begin_on_the_grid(font: str) -> None:
    for at in (0, 1, 64, 1000):
        sound = played(font, [on(at, 71), on(at, 64)])
        first = int(np.flatnonzero(np.abs(sound[0]) > 1e-5)[0])
        grid = -(-at // GRID) * GRID
        assert grid <= first <= grid + 4, "the first frames of a sine are near 0"
    assert pitches(sound, 4000, 20_000) == [pytest.approx(64.0, abs=0.03), pytest.approx(71.0, abs=0.03)]
    assert 0.02 < np.abs(sound).max() < 1.0


@needs_fluidsynth
def test_programs_choose_by_channel_and_channel_10_is_drums(font: str) -> None:
    partials = {(0, 1): 1, (40, 1): 2, (0, 10): 3, (40, 10): 3}
    for (program, channel), partial in partials.items():
        sound = played(font, [Event("program", 0, program, 0.0, channel), on(0, 71, channel)])
        (pitch,) = pitches(sound, 4000, 20_000)
        assert pitch == pytest.approx(71.0 + 12.0 * np.log2(partial), abs=0.03)
    # the parameter stands above the programs that come
    sound = played(font, [Event("program", 0, 0, 0.0, 1), on(0, 71)], program=40)
    assert pitches(sound, 4000, 20_000) == [pytest.approx(83.0, abs=0.03)]


@needs_fluidsynth
@pytest.mark.parametrize("bank", [120, 126, 127])
def test_a_bank_of_rhythm_makes_any_channel_drums_and_another_its_program_again(font: str, bank: int) -> None:
    """Before its program, as in a file, or after it, as where a worker was restarted."""
    select, program = Event("control", 0, 0, bank / 127, 11), Event("program", 0, 40, 0.0, 11)
    drums = 71.0 + 12.0 * np.log2(3)
    for notes in ([select, program], [program, select], [program, select, program]):
        sound = played(font, [*notes, on(0, 71, 11), on(0, 64, 1)])
        assert pitches(sound, 4000, 20_000) == [pytest.approx(64.0, abs=0.03), pytest.approx(drums, abs=0.03)]
    back = [select, program, Event("control", 0, 0, 0.0, 11), on(0, 71, 11)]
    assert pitches(played(font, back), 4000, 20_000) == [pytest.approx(83.0, abs=0.03)]
    # a program that is set is every pitched channel's
    fixed = played(font, [select, on(0, 71, 11)], program=40)
    assert pitches(fixed, 4000, 20_000) == [pytest.approx(drums, abs=0.03)]


@needs_fluidsynth
def test_channel_10_is_melodic_by_bank_121_alone(font: str) -> None:
    for bank, pitch in ((0, 71.0 + 12.0 * np.log2(3)), (121, 83.0)):
        notes = [Event("control", 0, 0, bank / 127, 10), Event("program", 0, 40, 0.0, 10), on(0, 71, 10)]
        assert pitches(played(font, notes), 4000, 20_000) == [pytest.approx(pitch, abs=0.03)]


@needs_fluidsynth
def test_two_notes_of_one_channel_are_bent_apart(font: str) -> None:
    notes = [
        Event("pitch", 0, 60, 0.25),
        on(0, 60),
        on(0, 67),
        Event("pitch", 12_000, 60, -1.5),
        Event("pitch", 12_000, 67, 0.4),
    ]
    sound = played(font, notes)
    assert pitches(sound, 2000, 12_000) == [pytest.approx(60.25, abs=0.02), pytest.approx(67.0, abs=0.02)]
    assert pitches(sound, 13_000, 23_000) == [pytest.approx(58.5, abs=0.02), pytest.approx(67.4, abs=0.02)]
    # the next note of that key is at its own pitch again
    again = played(font, [*notes, Event("off", 14_000, 60), Event("off", 14_000, 67), on(36_000, 60)], 1.2)
    assert pitches(again, 40_000, 56_000) == [pytest.approx(60.0, abs=0.02)]


@needs_fluidsynth
def test_pressure_of_all_notes_of_a_channel_is_its_vibrato(font: str) -> None:
    """By SoundFont 2.04, 8.4.5: channel pressure moves the pitch by up to 50 cents; a key's has no default effect."""
    chord = [on(0, 60), on(0, 67)]

    def play(*pressed: int) -> Samples:
        return played(font, [*chord, *(Event("pressure", 0, key, 1.0) for key in pressed)], 1.5)

    rest, both = play(), play(60, 67)
    assert np.array_equal(play(60), rest)
    reach = [pitches(both, first, first + 2000)[0] - 60.0 for first in range(24_000, 60_000, 500)]
    # a window is a third of the vibrato's period long, which takes a sixth of its peaks
    assert (min(reach), max(reach)) == (pytest.approx(-0.42, abs=0.05), pytest.approx(0.42, abs=0.05))


@needs_fluidsynth
def test_a_bend_moves_its_channel_by_its_reach(font: str) -> None:
    sound = played(font, [on(0, 60, 1), on(0, 67, 2), Event("bend", 0, 0, -1.0, 2)], bend=12)
    assert pitches(sound, 4000, 20_000) == [pytest.approx(55.0, abs=0.02), pytest.approx(60.0, abs=0.02)]


@needs_fluidsynth
def test_a_channel_may_state_a_reach_up_to_what_fluidsynth_bends(font: str) -> None:
    stated = [Event("control", 0, number, value / 127.0, 2) for number, value in ((101, 0), (100, 0), (6, 71))]
    sound = played(font, [*stated, on(0, 24, 2), Event("bend", 0, 0, 1.0, 2)])
    assert pitches(sound, 4000, 20_000) == [pytest.approx(95.0, abs=0.02)]


@needs_fluidsynth
def test_any_blocks_and_any_render_give_the_same_samples(font: str) -> None:
    notes = [on(n * 1111, 50 + n, 1 + n % 3) for n in range(12)] + [Event("control", 3000, 64, 1.0, 1)]
    notes += [Event("off", 8000 + n * 700, 50 + n, 0.0, 1 + n % 3) for n in range(12)]
    wet = {"reverb": True, "chorus": True}
    whole = played(font, notes, **wet)
    for blocks in (None, [1, 63, 256, 100], [32]):
        np.testing.assert_array_equal(played(font, notes, blocks=blocks, **wet), whole)
    assert not np.array_equal(whole, played(font, notes))


@needs_fluidsynth
@pytest.mark.skipif(find_soundfont() is None, reason="there is no General MIDI soundfont on this machine")
def test_the_machines_own_soundfont_plays_where_no_file_is_named() -> None:
    sound = played("", [on(0, 69)], 0.5)
    (loudest, *_) = sorted(pitches(sound, 4000, 20_000), key=lambda pitch: abs(pitch - made_font.FLAT / 100.0 - 69.0))
    assert loudest - made_font.FLAT / 100.0 == pytest.approx(69.0, abs=0.1)
    assert 0.02 < np.abs(sound).max() < 1.0


WHOLE = made_font.font()
BROKEN = [
    (b"", "is no soundfont"),
    (b"RIFF" + struct.pack("<I", 4) + b"WAVE", "is no soundfont"),
    (WHOLE[:-200], f"its header promises {len(WHOLE)} bytes and there are {len(WHOLE) - 200}: it was cut short"),
    (b"RIFF\xf0\xff\xff\x7fsfbk" + WHOLE[12:], "its header promises 2147483640 bytes"),
    (made_font.chunk(b"RIFF", b"sfbk"), "has no samples"),
    (WHOLE.replace(b"pdta", b"nope", 1), "has no presets"),
    (WHOLE.replace(b"shdr", b"sxdr", 1), "table shdr has 0 bytes, not whole records of 46"),
    (WHOLE.replace(b"smpl", b"smxl", 1), "has no samples"),
    (
        made_font.font().replace(b"phdr" + struct.pack("<I", 152), b"phdr" + struct.pack("<I", 1 << 31), 1),
        "its part phdr",
    ),
]


@pytest.mark.parametrize(("content", "said"), BROKEN, ids=[said[:30] for _, said in BROKEN])
def test_a_soundfont_that_lies_is_refused_in_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad.sf2"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        check(path)
    assert said in str(caught.value)
    assert str(caught.value).count("bad.sf2") == 1
    assert "\n" not in str(caught.value)


def test_one_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.sf2"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # sparse
    with pytest.raises(FileError, match="is larger than a soundfont may be; at most 1 GiB is allowed"):
        check(path)
    with pytest.raises(FileError, match="there is no such file"):
        check(tmp_path / "none.sf2")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4))
def test_a_damaged_soundfont_is_taken_or_refused_in_a_sentence(tmp_path: Path, hits: list[tuple[int, bytes]]) -> None:
    content = bytearray(made_font.font())
    for at, bad in hits:
        at %= len(content)
        content[at : at + len(bad)] = bad
    (tmp_path / "bad.sf2").write_bytes(content)
    said = ""
    try:
        check(tmp_path / "bad.sf2")
    except FileError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 300


@needs_fluidsynth
def test_what_only_fluidsynth_finds_ends_the_worker_with_a_sentence(tmp_path: Path) -> None:
    from antiphon_soundfont.library import SoundfontError, SoundfontSynth

    path = tmp_path / "bad.sf2"
    # a version of the format that there is not, behind sizes that fit
    path.write_bytes(
        made_font.font().replace(b"ifil" + struct.pack("<IHH", 4, 2, 4), b"ifil" + struct.pack("<IHH", 4, 9, 0))
    )
    check(path)
    with pytest.raises(SoundfontError, match=r"FluidSynth cannot play bad.sf2 \(.+\); name another soundfont"):
        SoundfontSynth(RATE, path, 0.5)


def test_instruments_of_a_synth_node_are_programs_and_others_are_refused() -> None:
    support = SOUNDFONT.make_support()
    for name in ("piano", "drums", "organ", "12"):
        assert support.check_settings(SynthSettings(name), instead=False).instrument == name
    with pytest.raises(ParamError, match="a soundfont does not play grains; it plays piano, "):
        support.check_settings(SynthSettings("grains"), instead=False)
    assert support.check_settings(SynthSettings("grains"), instead=True).instrument == "piano"
    (finding,) = support.findings()
    assert finding.subject == "FluidSynth"


def test_without_fluidsynth_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from antiphon_soundfont import info, library

    monkeypatch.setattr(library, "library_file", lambda: None)
    monkeypatch.setattr(info, "library_file", lambda: None)
    library.library.cache_clear()
    try:
        with pytest.raises(library.SoundfontError, match="needs FluidSynth 2, which is not installed: sudo apt-get"):
            library.library()
    finally:
        library.library.cache_clear()
    (finding,) = SOUNDFONT.make_support().findings()
    assert (finding.state, finding.mend) == ("missing", "sudo apt-get install fluidsynth")


@needs_fluidsynth
@pytest.mark.parametrize(("instrument", "volume"), [("organ", 127), ("electric_piano", 127), ("drums", 127), ("", 100)])
def test_a_synths_channel_begins_at_full_volume_and_a_general_midi_one_at_100(
    font: str, instrument: str, volume: int
) -> None:
    heard = []
    for events in ([], [Event("control", 0, 7, volume / 127.0)]):
        backend, out = FluidSynth(RATE, 4800, 1, font), np.zeros((1, 2, 4800), np.float32)
        backend.open(0, SynthSettings(instrument, controls="reverb=0 chorus=0"))
        backend.play(0, 0, [*events, on(0, 60)])
        backend.render(out, np.ones(1, np.bool_))
        heard.append(out)
    np.testing.assert_array_equal(*heard)
    assert np.abs(heard[0]).max() > 0.0


@needs_fluidsynth
def test_the_machines_soundfont_is_as_loud_as_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Program by program, also after controllers were reset; one that is named sounds as it is."""
    peaks = []
    for level in (0.5, 0.1):
        folder = tmp_path / str(level)  # FluidSynth keeps the samples of a path
        folder.mkdir()
        font = made_font.write(folder, level)
        monkeypatch.setattr("antiphon_soundfont.backend.find_soundfont", lambda font=font: font)
        for named in ("", font):
            backend, out = FluidSynth(RATE, 4800, 1, named), np.zeros((1, 2, 4800), np.float32)
            backend.open(0, SynthSettings("piano", controls="reverb=0 chorus=0"))
            backend.play(0, 0, [Event("control", 0, 121, 0.0, 1), on(0, 60)])
            backend.render(out, np.ones(1, np.bool_))
            peaks.append(float(np.abs(out).max()))
    assert peaks[1] / peaks[3] == pytest.approx(5.0, rel=0.1)
    assert peaks[0] == pytest.approx(peaks[2], rel=0.1)


@needs_fluidsynth
def test_a_held_note_keeps_its_level_where_its_channel_changes_the_program(
    font: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon_soundfont.backend.find_soundfont", lambda: font)
    monkeypatch.setattr("antiphon_soundfont.backend.trims", lambda path, gain: [0.0] * 40 + [-12.0] * 89)
    backend, out = FluidSynth(RATE, 4800, 1, ""), np.zeros((1, 2, 4800), np.float32)
    backend.open(0, SynthSettings("", controls="reverb=0 chorus=0"))
    peaks = []
    for events in ([on(0, 60)], [Event("program", 0, 40, 0.0, 1)], [Event("off", 0, 60, 0.0, 1)], [on(0, 60)]):
        backend.play(0, 0, events)
        backend.render(out, np.ones(1, np.bool_))
        peaks.append(float(np.abs(out).max()))
    assert peaks[1] == pytest.approx(peaks[0], rel=0.1)
    assert peaks[3] == pytest.approx(0.25 * peaks[0], rel=0.3)


@needs_fluidsynth
def test_a_file_rendered_from_notes_is_limited_unless_that_is_refused(tmp_path: Path, font: str) -> None:
    """Sixteen keys at once, at full velocity: by default at -16 LUFS at most, the true peak below -1 dBFS."""
    song, target = tmp_path / "loud.mid", tmp_path / "loud.wav"
    keys = tuple(MidiNote(beat, 0.9, 48 + 3 * n, 1.0) for beat in range(8) for n in range(16))
    write_midi(song, [MidiTrack("keys", keys, 0)], 120.0)
    levels = {}
    for option in ("--limit", "--no-limit", "--normalise=-14", ""):
        command("run", "soundfont", song, target, "--force", "-p", f"file={font}", *filter(None, [option]))
        sound = read_sound(target)
        levels[option] = LoudnessMeter.of(sound.samples, sound.rate), max(peak_curve(sound.samples))
    assert levels["--no-limit"][0] > -12.0
    assert levels[""] == levels["--limit"]
    for option, lufs in (("", -16.0), ("--normalise=-14", -14.0)):
        assert levels[option][0] == pytest.approx(lufs, abs=0.2)
        assert levels[option][1] < 10.0 ** (-1.0 / 20.0) + 1e-4
