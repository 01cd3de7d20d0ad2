"""docs/differences.md: what Antiphon does in each row, and that each row has a test here and each test a row."""

from __future__ import annotations

import io
import re
import struct
from fractions import Fraction
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file
from tests.files.test_musicxml import measure, part, score

import antiphon
from antiphon.files.scores import midifile, musicxml
from antiphon.files.scores.midi_song import MidiSong
from antiphon.files.scores.score_midi import song_of
from antiphon.kernel.signal import named_note
from antiphon.kernel.wire import osc, pattern
from antiphon.live import reading
from antiphon.live.performance import Performance
from antiphon.networks import model_files
from antiphon.paste.child import translate_program
from antiphon.signal.harmony import read_symbol
from antiphon.signal.loudness import LoudnessMeter
from antiphon.testing import clicks, peak, sine, write

PAGE = Path(__file__).parents[2] / "docs" / "differences.md"
RATE = 48000
ROWS = 40
"""Rows that the page has at least."""
Notes = list[tuple[float, float, int]]


def args(tags: str, body: bytes) -> tuple[osc.Arg, ...]:
    """The arguments of a packet that another program sent."""
    text = f",{tags}".encode()
    packet = b"/a\0\0" + text + b"\0" * (4 - len(text) % 4) + body
    (message,) = osc.messages_of(osc.decode(packet))
    return message.args


def song(folder: Path, *messages: mido.Message) -> Path:
    """A MIDI file of 480 ticks a beat."""
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack([*messages, mido.MetaMessage("end_of_track")]))
    path = folder / "song.mid"
    file.save(path)
    return path


def on(time: int, number: int = 60) -> mido.Message:
    return mido.Message("note_on", time=time, note=number, velocity=64)


def off(time: int, number: int = 60) -> mido.Message:
    return mido.Message("note_off", time=time, note=number)


def notes(path: Path) -> Notes:
    return [(n.start, n.length, n.number) for track in midifile.read(path).tracks for n in track.notes]


class Sheet:
    """What a MusicXML score plays: its tempo, and start and length in beats, and number, of each note."""

    def __init__(self, song: MidiSong) -> None:
        self.tempo = song.tempo
        self.notes = [(n.start, n.length, n.number) for track in song.tracks for n in track.notes]


def sheet(folder: Path, *measures: str) -> Sheet:
    path = folder / "score.musicxml"
    path.write_text(score(part(*measures)))
    return Sheet(song_of(musicxml.read(path)))


def played(program: str, at: int = 1) -> list[tuple[Fraction, object]]:
    """Of what a pasted program plays in its first cycle the beat, and the argument of that number."""
    script = reading.read("set.py", translate_program(program)[0])
    return [(event.beat, event.args[at]) for event in Performance(script).until(Fraction(4))]


def test_differences_page_rows_and_tests_are_the_same() -> None:
    rows = [row for row in PAGE.read_text().splitlines() if row.startswith("| ") and "`" in row and "---" not in row]
    rows = [row for row in rows if not row.startswith("| peer")]
    named = {f"test_{name}" for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[-2])}
    there = {name for name in globals() if name.startswith("test_")} - {
        "test_differences_page_rows_and_tests_are_the_same"
    }
    assert named == there
    assert len(rows) >= ROWS


def test_osc_double_before_a_number() -> None:
    assert args("di", struct.pack(">di", 2.75, 60)) == (2.75, 60)


def test_osc_character_and_symbol() -> None:
    assert args("ci", struct.pack(">ii", 65, 7)) == ("A", 7)
    assert args("Si", b"pan\0" + struct.pack(">i", 7)) == ("pan", 7)


def test_osc_int64_before_a_number() -> None:
    assert args("hi", struct.pack(">qi", 5, 60)) == (5, 60)


def test_osc_large_whole_number() -> None:
    (message,) = osc.messages_of(osc.decode(osc.encode("/a", 2**40)))
    assert message.args == (2**40,)


def test_osc_blob_length_in_bytes() -> None:
    assert args("bi", struct.pack(">i", 1) + b"\x90\0\0\0" + struct.pack(">i", 7)) == (b"\x90", 7)
    assert args("bi", struct.pack(">i", 4) + b"abcd" + struct.pack(">i", 7)) == (b"abcd", 7)


def test_osc_bundle_in_a_bundle() -> None:
    inner = osc.encode_bundle(1, [osc.encode("/b", 1)])
    outer = osc.encode_bundle(1, [osc.encode("/a", 1), inner, osc.encode("/c", 1)])
    assert [message.address for message in osc.messages_of(osc.decode(outer))] == [b"/a", b"/b", b"/c"]


def test_osc_star_within_one_part() -> None:
    assert pattern.matches(b"/strip/*", b"/strip/gain")
    assert not pattern.matches(b"/strip/*", b"/strip/1/gain")


def test_midi_sysex_in_packets(tmp_path: Path) -> None:
    packets = b"\x00\xf0\x03\x43\x12\x00" + b"\x30\xf7\x03\x01\x02\xf7"
    track = packets + b"\x00\x90\x3c\x40" + b"\x83\x60\x80\x3c\x40" + b"\x00\xff\x2f\x00"
    path = tmp_path / "packets.mid"
    path.write_bytes(b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(track)) + track)
    assert notes(path) == [(0.1, 1.0, 60)]


def test_midi_unison_of_two_hands(tmp_path: Path) -> None:
    path = song(tmp_path, on(0), on(0), off(480), off(1440))
    out = tmp_path / "out.mid"
    antiphon.run("transpose", path, out=out, semitones=0)
    assert max(start + length for start, length, _ in notes(out)) == 4.0


def test_midi_smpte_division(tmp_path: Path) -> None:
    path = song(tmp_path, on(500), off(1000))
    content = bytearray(path.read_bytes())
    content[12:14] = struct.pack(">H", 0xE728)  # 25 frames a second, 40 ticks each
    path.write_bytes(content)
    assert notes(path) == [(1.0, 2.0, 60)]
    assert midifile.read(path).tempo == ((0.0, 120.0),)


def test_midi_bends_and_programs_are_kept(tmp_path: Path) -> None:
    program = [mido.Message("program_change", program=number) for number in (0, 40)]
    bend = mido.Message("pitchwheel", pitch=4096)
    path = song(tmp_path, program[0], bend, on(0), off(480), program[1], on(0, 62), off(480, 62))
    out = tmp_path / "out.mid"
    antiphon.run("transpose", path, out=out, semitones=0)
    kinds = ("program_change", "pitchwheel", "note_on")
    kept = [message for track in mido.MidiFile(out).tracks for message in track if message.type in kinds]
    assert kept == [program[0], bend, on(0), program[1], on(0, 62)]


def test_note_name_c4_is_60() -> None:
    assert named_note("c4") == 60


def test_score_transposing_part(tmp_path: Path) -> None:
    down = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
    assert sheet(tmp_path, measure(1, "c5 4", attributes=down)).notes == [(0.0, 4.0, 70)]


def test_score_cue_notes(tmp_path: Path) -> None:
    cue = "<note><cue/><pitch><step>C</step><octave>5</octave></pitch><duration>2</duration><voice>1</voice></note>"
    assert sheet(tmp_path, measure(1, cue, "d5 2")).notes == [(2.0, 2.0, 74)]


def test_score_dotted_metronome(tmp_path: Path) -> None:
    unit = "<beat-unit>quarter</beat-unit><beat-unit-dot/><per-minute>60</per-minute>"
    mark = f"<direction><direction-type><metronome>{unit}</metronome></direction-type></direction>"
    assert sheet(tmp_path, measure(1, mark, "c4 4")).tempo == ((0.0, 90.0),)


def test_score_chord_symbol_and_grace_note(tmp_path: Path) -> None:
    chord = "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>"
    assert sheet(tmp_path, measure(1, chord, "b4", "c5 4")).notes[-1] == (0.0, 4.0, 72)
    assert len(sheet(tmp_path, measure(1, chord, "c5 4")).notes) == 1


def test_chord_names_of_fake_books() -> None:
    steps = {name: read_symbol(name) for name in ("C11", "C69", "C6/9", "C13", "Cmaj9")}
    assert {name: symbol.steps for name, symbol in steps.items() if symbol is not None} == {
        "C11": (0, 4, 7, 10, 14, 17),
        "C69": (0, 4, 7, 9, 14),
        "C6/9": (0, 4, 7, 9, 14),
        "C13": (0, 4, 7, 10, 14, 17, 21),
        "Cmaj9": (0, 4, 7, 11, 14),
    }


def test_chord_names_of_minor_and_sus() -> None:
    wanted = {"Asus4": (0, 5, 7), "A-7": (0, 3, 7, 10), "Ami7": (0, 3, 7, 10), "Aø": (0, 3, 6, 10)}
    for name, steps in wanted.items():
        symbol = read_symbol(name)
        assert symbol is not None
        assert symbol.steps == steps


def test_chord_root_c_flat() -> None:
    roots = [read_symbol(name) for name in ("Cb", "B#", "E#", "Fb")]
    assert [symbol.root for symbol in roots if symbol is not None] == [11, 0, 5, 4]


def test_ogg_joined_files(tmp_path: Path) -> None:
    content = b""
    for hertz, seconds in ((220.0, 1.0), (880.0, 0.5)):
        buffer = io.BytesIO()
        soundfile.write(buffer, sine(hertz, seconds)[0], RATE, format="OGG", subtype="VORBIS")
        content += buffer.getvalue()
    path = tmp_path / "joined.ogg"
    path.write_bytes(content)
    assert antiphon.run("gain", path).sound.shape == (1, 72000)


def test_mp3_in_place(tmp_path: Path) -> None:
    path = tmp_path / "click.mp3"
    antiphon.run("gain", clicks([1000], RATE, height=0.9), RATE, out=path)
    read = antiphon.run("gain", path).sound
    assert read.shape == (1, RATE)
    assert int(np.argmax(np.abs(read[0]))) == 1000


def test_silence_stays_silence(tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(44100, np.int16), 44100, subtype="PCM_16")
    antiphon.run("gain", path, out=tmp_path / "out.wav")
    assert not soundfile.read(tmp_path / "out.wav", dtype="int16")[0].any()


def test_full_scale_is_clipped(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.array([1.0, 1.5, -1.5, -1.0] * 100, np.float32), RATE, subtype="FLOAT")
    result = antiphon.run("gain", path, out=tmp_path / "out.flac")
    assert ["full scale" in words for words in result.warnings] == [True]
    written = soundfile.read(tmp_path / "out.flac", dtype="float64")[0][:4]
    np.testing.assert_allclose(written, [1.0, 1.0, -1.0, -1.0], atol=1e-4)


def test_short_and_silent_sounds_normalised() -> None:
    short = antiphon.run("gain", sine(440.0, 0.3), RATE, normalise=-14)
    assert LoudnessMeter.of(short.sound, RATE) == pytest.approx(-14.0, abs=0.1)
    assert not antiphon.run("gain", np.zeros(RATE, np.float32), RATE, normalise=-14).sound.any()


def test_loudness_of_a_short_loop() -> None:
    whole = LoudnessMeter.of(sine(1000.0, 4.0), RATE)
    for seconds in (0.4615, 0.451, 1.051):
        assert LoudnessMeter.of(sine(1000.0, seconds), RATE) == pytest.approx(whole, abs=0.05)


def test_transposed_weights(tmp_path: Path) -> None:
    matrix = np.arange(12, dtype=np.float32).reshape(3, 4).T
    model_files.write("weights", {"matrix": matrix}, tmp_path, {})
    np.testing.assert_array_equal(load_file(tmp_path / "weights.safetensors")["matrix"], matrix)


def test_convolution_level(tmp_path: Path) -> None:
    for height in (1.0, 0.5):
        response = write(tmp_path / "response.wav", clicks([0], 100, height=height), subtype="FLOAT")
        heard = antiphon.run("convolution", sine(440.0, 1.0), RATE, impulse=str(response), normalise=0)
        assert np.abs(heard.sound).max() == pytest.approx(height * peak(sine(440.0, 1.0)), rel=1e-3)


def test_limiter_leaves_what_is_soft() -> None:
    soft = sine(440.0, 1.0, level=-40.0)
    np.testing.assert_allclose(antiphon.run("limiter", soft, RATE).sound, soft, atol=1e-6)


def test_tail_through_longer_blocks() -> None:
    x = clicks([0], 4096)
    made = []
    for sizes in ([64, 128, 400, 2500], []):
        with antiphon.Chain(("delay", {"time": 0.01, "feedback": 0.0}), rate=RATE, channels=1) as chain:
            made.append(np.concatenate([chain.process(block) for block in np.split(x, sizes, axis=1)], axis=1))
    np.testing.assert_array_equal(*made)
    assert peak(made[0][:, 400:]) > 0.1


def test_first_sample_of_a_file(tmp_path: Path) -> None:
    antiphon.run("gain", clicks([0], 4800, height=0.5), RATE, out=tmp_path / "out.wav")
    assert soundfile.read(tmp_path / "out.wav")[0][0] == pytest.approx(0.5, abs=1e-4)


@pytest.mark.needs("denoise")
def test_denoised_silence() -> None:
    assert not antiphon.run("denoise", np.zeros(2 * RATE, np.float32), RATE).sound.any()


@pytest.mark.needs("hum")
def test_hum_of_sines() -> None:
    for hertz, number in ((110.0, 45), (220.0, 57), (440.0, 69)):
        assert [note.pitch for note in antiphon.run("hum", sine(hertz, 1.5), RATE).notes] == [number]


def test_paste_weight_without_zero() -> None:
    assert played('$: s("bd@.5 hh")') == played('$: s("bd@0.5 hh")') == [(0, "bd"), (Fraction(4, 3), "hh")]


def test_paste_number_without_zero() -> None:
    assert [value for _, value in played('d1 $ s "bd*4" # speed "0.25 .5"', -1)] == [0.25, 0.25, 0.5, 0.5]
    assert [value for _, value in played('$: s("bd*4").speed("0.25 .5")', -1)] == [0.25, 0.25, 0.5, 0.5]


def test_paste_struct_true_false() -> None:
    assert [beat for beat, _ in played('$: s("bd*4").struct("t f t t")')] == [0, 2, 3]


def test_paste_euclid_turned() -> None:
    assert [beat for beat, _ in played('$: s("bd(3,8,2)")')] == [0, 1, Fraction(5, 2)]
    assert [beat for beat, _ in played('d1 $ s "bd(3,8,2)"')] == [Fraction(1, 2), 2, 3]


def test_paste_within() -> None:
    strudel = played('$: s("bd sd hh cp").within(0, .5, fast(2))')
    tidal = played('d1 $ within (0, 0.5) (fast 2) $ s "bd sd hh cp"')
    assert [sound for _, sound in strudel] == ["bd", "sd", "hh", "bd", "sd", "hh", "cp"]
    assert [sound for _, sound in tidal] == ["bd", "sd", "hh", "cp", "hh", "cp"]


def test_paste_swing() -> None:
    assert played('$: s("hh*8").swingBy(1/3, 4)')[1][0] == Fraction(2, 3)
    assert played('d1 $ swingBy (1/3) 4 $ s "hh*8"')[1][0] == Fraction(5, 6)


def test_paste_euclid_of_a_group() -> None:
    assert len(played('$: s("[bd hh](3,8)")')) == 3
    assert len(played('d1 $ s "[bd hh](3,8)"')) == 6
