"""MIDI files: note for note there and back; whatever else is in a file, one sentence."""

import random
import time
from dataclasses import replace
from pathlib import Path

import mido
import pytest
from hypothesis import given, settings, strategies as st
from tests import accepted

from antiphon.files.scores import midifile
from antiphon.files.scores.midi_song import MidiControlChange, MidiNote, MidiTrack
from antiphon.files.scores.midifile import read, write
from antiphon.kernel.errors import FileError
from antiphon.offline import note_file


@st.composite
def tracks(draw: st.DrawFn) -> MidiTrack:
    """Notes on a grid of 480, none begun while the same one sounds."""
    ends: dict[tuple[int, int], int] = {}
    notes = []
    for number, channel, gap, length, velocity in draw(
        st.lists(
            st.tuples(
                st.integers(0, 127), st.integers(1, 16), st.integers(0, 2000), st.integers(1, 2000), st.integers(1, 127)
            ),
            min_size=1,
            max_size=20,
        )
    ):
        start = ends.get((channel, number), 0) + gap
        ends[channel, number] = start + length
        notes.append(MidiNote(start / 480, length / 480, number, velocity / 127, channel))
    notes.sort(key=lambda n: (n.start, n.channel, n.number))
    return MidiTrack(draw(st.text("abc äß", max_size=8)), tuple(notes), draw(st.none() | st.integers(0, 127)))


@settings(max_examples=60)
@given(st.lists(tracks(), min_size=1, max_size=4), st.lists(st.integers(20, 400), min_size=1, max_size=5))
def test_what_is_written_is_read_again_and_again(
    tmp_path_factory: pytest.TempPathFactory, made: list[MidiTrack], bpms: list[int]
) -> None:
    path = tmp_path_factory.mktemp("midi") / "x.mid"
    tempo = [(2.0 * n, float(bpm)) for n, bpm in enumerate(bpms)]
    signatures = ((0.0, 4, 4), (4.0, 1, 4), (5.0, 6, 8))
    texts = ((0.0, "lyrics", "schö-"), (1.0, "lyrics", "ner"), (4.0, "marker", "B"))
    write(path, made, tempo, signatures=signatures, texts=texts)
    song = read(path)
    assert (song.signatures, song.texts) == (signatures, texts)
    assert song.meters == ((0.0, 4.0), (4.0, 1.0), (5.0, 3.0))
    begun = [MidiControlChange(0.0, "program", t.program or 0, 0.0, t.notes[0].channel) for t in made]
    assert list(song.tracks[1:]) == [
        t if t.program is None else replace(t, controls=(change,)) for t, change in zip(made, begun, strict=True)
    ]
    assert song.tracks[0].notes == ()
    assert song.tempo == tuple((at, pytest.approx(bpm, rel=1e-4)) for at, bpm in tempo)
    write(path, song.tracks, song.tempo, song.ticks, song.signatures, song.texts)
    assert read(path) == song


def test_seconds_follow_the_tempo_map(tmp_path: Path) -> None:
    write(tmp_path / "x.mid", [MidiTrack(notes=(MidiNote(0, 1, 60),))], [(0.0, 60.0), (4.0, 120.0)])
    song = read(tmp_path / "x.mid")
    assert [song.seconds(beat) for beat in (0.0, 4.0, 6.0)] == pytest.approx([0.0, 4.0, 5.0])


def test_a_note_shorter_than_a_tick_lasts_a_tick(tmp_path: Path) -> None:
    write(tmp_path / "x.mid", [MidiTrack(notes=(MidiNote(0.0, 1e-5, 60),))])
    ends = [one.time for track in mido.MidiFile(tmp_path / "x.mid").tracks for one in track if one.type == "note_off"]
    assert ends == [1]


def test_a_note_without_an_end_and_one_begun_twice(tmp_path: Path) -> None:
    track = mido.MidiTrack(
        mido.Message(*given[:1], note=60, velocity=given[1], time=given[2])
        for given in (("note_on", 64, 0), ("note_on", 64, 480), ("note_on", 64, 480))
    )
    track.append(mido.MetaMessage("end_of_track", time=480))
    file = mido.MidiFile(type=0, ticks_per_beat=480)
    file.tracks.append(track)
    file.save(tmp_path / "x.mid")
    (found,) = read(tmp_path / "x.mid").tracks
    assert [(n.start, n.length) for n in found.notes] == [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)]


def test_a_file_without_a_tempo_is_at_120(tmp_path: Path) -> None:
    mido.MidiFile(tracks=[mido.MidiTrack()]).save(tmp_path / "x.mid")
    assert read(tmp_path / "x.mid").tempo == ((0.0, 120.0),)


def refused(path: Path) -> str:
    with pytest.raises(FileError) as caught:
        read(path)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 400
    return said


def test_five_hundred_mutated_files_give_notes_or_one_sentence(tmp_path: Path) -> None:
    rng, path = random.Random(7), tmp_path / "x.mid"
    notes = tuple(MidiNote(n / 2, 0.5, 40 + n, 0.5, 1 + n % 16) for n in range(40))
    write(path, [MidiTrack("melody", notes, 5), MidiTrack("bass", notes[::2])], [(0.0, 90.0), (3.0, 180.0)])
    good = path.read_bytes()
    read_well = 0
    for _ in range(500):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(bad))
            match rng.randrange(4):
                case 0:
                    bad[at] = rng.randrange(256)
                case 1:
                    del bad[at : at + rng.randrange(8)]
                case 2:
                    bad[at:at] = rng.randbytes(rng.randrange(8))
                case _:
                    bad[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"MTrk", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
            if not bad:
                break
        path.write_bytes(bad)
        try:
            song = read(path)
        except FileError:
            refused(path)
            continue
        read_well += 1
        for track in song.tracks:
            assert all(0 <= n.number <= 127 and n.length > 0 and 0 < n.velocity <= 1 for n in track.notes)
    assert 15 < read_well < 500


def test_what_is_no_midi_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for content, wanted in (
        (b"", "is not a MIDI file"),
        (b"RIFF" + bytes(100), "is not a MIDI file"),
        (b"MThd\0\0\0\6\0\1\0\1\xe7\0MTrk\0\0\0\0", "gives a beat 0 ticks"),
        (b"MThd\0\0\0\6\0\2\0\2\1\xe0" + 2 * chunk(NOTES), "of type 2, whose tracks are pieces of their own"),
        (bytes(midifile.MAX_FILE + 1), "at most 2 MiB"),
        (b"MThd\0\0\0\6\0\1\0\2\1\xe0MTrk\0\0\0\4\0\xff\x2f\0MTrk\0", "it is cut short"),
        (b"MThd\0\0\0\6\0\1\x27\x10\1\xe0" + b"MTrk\0\0\0\4\0\xff\x2f\0" * 10_000, "it has 10000 tracks"),
        (b"MThd\0\0\0\6\0\1\0\1\0\0MTrk\0\0\0\4\0\xff\x2f\0", "gives a beat 0 ticks"),
    ):
        (tmp_path / "x.mid").write_bytes(content)
        assert wanted in refused(tmp_path / "x.mid")
    assert "it is not an ordinary file" in refused(tmp_path)
    assert "no such file" in refused(tmp_path / "none.mid")
    assert "not an ordinary file" in refused(Path("/dev/zero"))
    with pytest.raises(FileError):
        write(tmp_path / "x.mid" / "y.mid", [])


def chunk(events: bytes, *, size: int = 0, name: bytes = b"MTrk") -> bytes:
    """A chunk that says `size` bytes more than it has."""
    return name + (len(events) + size & 0xFFFFFFFF).to_bytes(4, "big") + events


def header(tracks: int) -> bytes:
    return b"MThd\0\0\0\6\0\1" + tracks.to_bytes(2, "big") + b"\1\xe0"


FIRST, SECOND = b"\0\x90\x3c\x64\x83\x60\x3c\0", b"\0\x3e\x64\x83\x60\x3e\0"
"""c4 and d4, a beat each; the second by running status."""
END = b"\0\xff\x2f\0"
NOTES = FIRST + SECOND + END
SONG = header(1) + chunk(NOTES)


@pytest.mark.parametrize(("frames", "each"), [(24, 4), (25, 40), (25, 41), (29, 100), (30, 80), (60, 255)])
def test_time_in_frames_of_film_is_in_seconds_whatever_the_tempo(tmp_path: Path, frames: int, each: int) -> None:
    """The numbers of a header are frames per second, but for 29, which are 30 · 1000 / 1001."""
    second = bytes((0x80 | frames * each >> 7, frames * each & 0x7F))  # as a number of up to two bytes
    notes = b"\0\x90\x3c\x64" + second + b"\x3c\0" + b"\0\xff\x51\3\x03\xd0\x90" + second + b"\x3e\x64\1\x3e\0" + END
    head = b"MThd\0\0\0\6\0\1\0\1" + bytes((256 - frames, each))
    (tmp_path / "x.mid").write_bytes(head + chunk(notes))
    song = read(tmp_path / "x.mid")
    first, last = song.tracks[0].notes
    length = 1.0 if frames != 29 else 29 * 1001 / 30_000
    assert [song.seconds(at) for at in (first.end, last.start)] == pytest.approx([length, 2.0 * length], rel=1e-6)
    write(tmp_path / "y.mid", song.tracks, song.tempo, song.ticks)
    again = read(tmp_path / "y.mid")
    assert again.seconds(again.tracks[-1].notes[-1].start) == pytest.approx(2.0 * length, rel=1e-6)


def test_type_2_with_one_track_of_notes_is_played(tmp_path: Path) -> None:
    for tracks in (chunk(NOTES), chunk(b"\0\xff\x51\3\x07\xa1\x20" + END) + chunk(NOTES)):
        (tmp_path / "x.mid").write_bytes(b"MThd\0\0\0\6\0\2\0\1\1\xe0" + tracks)
        assert [note.number for note in read(tmp_path / "x.mid").tracks[-1].notes] == [60, 62]


def test_what_is_odd_is_passed_over_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = {
        "header": header, "chunk": chunk, "NOTES": NOTES, "FIRST": FIRST, "SECOND": SECOND, "END": END, "SONG": SONG,
    }  # fmt: skip

    def answer(content: str) -> str:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.mid"
        path.write_bytes(eval(content, names))
        caplog.clear()
        for _ in range(2):
            song = read(path)
            notes = [(n.start, n.length, n.number, round(127 * n.velocity)) for one in song.tracks for n in one.notes]
            assert notes == [(0.0, 1.0, 60, 100), (1.0, 1.0, 62, 100)]
            assert song.tempo == ((0.0, 120.0),)
        return " / ".join(caplog.messages).replace(str(path), "x.mid") or "nothing is said"

    accepted.compare(__file__, answer)


def test_an_unknown_event_takes_its_time(tmp_path: Path) -> None:
    (tmp_path / "x.mid").write_bytes(header(1) + chunk(b"\x83\x60\xff\x60\1x" + NOTES))
    assert [note.start for note in read(tmp_path / "x.mid").tracks[0].notes] == [1.0, 2.0]


@pytest.mark.parametrize("charset", ["utf-8", "shift_jis", "latin-1"])
def test_texts_are_in_utf8_shift_jis_or_latin1(tmp_path: Path, charset: str) -> None:
    for name in ("Früh’s Œuvre", "été", "çok güzel") if charset != "shift_jis" else ("メロディ", "きらきら", "歌"):
        raw = name.replace("’", "'").replace("Œ", "O").encode(charset)
        (tmp_path / "x.mid").write_bytes(header(1) + chunk(b"\0\xff\3" + bytes((len(raw),)) + raw + NOTES))
        (track,) = read(tmp_path / "x.mid").tracks
        assert track.name == raw.decode(charset)
        write(tmp_path / "y.mid", [track])
        assert read(tmp_path / "y.mid").tracks[-1].name == track.name


def test_two_ports_are_two_instruments(tmp_path: Path) -> None:
    drum = b"\0\x99\x24\x64\1\x24\0"
    (tmp_path / "x.mid").write_bytes(
        header(2)
        + b"".join(chunk(b"\0\xff\x21\1" + bytes((port, 0, 0xC0, 10 + port)) + FIRST + drum + END) for port in (0, 1))
    )
    tracks = read(tmp_path / "x.mid").tracks
    assert [[note.channel for note in track.notes] for track in tracks] == [[1, 10], [2, 10]]
    assert [(track.controls[0].number, track.controls[0].channel) for track in tracks] == [(10, 1), (11, 2)]


def test_an_end_in_the_tick_of_the_next_beginning_is_of_the_note_before(tmp_path: Path) -> None:
    again = b"\0\x90\x3c\x64\x83\x60\x3c\x65\0\x3c\0\x83\x60\x3c\0"
    (tmp_path / "x.mid").write_bytes(header(1) + chunk(again + END))
    notes = read(tmp_path / "x.mid").tracks[0].notes
    assert [(n.start, n.length, round(127 * n.velocity)) for n in notes] == [(0.0, 1.0, 100), (1.0, 1.0, 101)]


def test_hostile_sizes_take_time_in_proportion(tmp_path: Path) -> None:
    bad = chunk(END + b"\0\x90\x3c\x40\5", size=1 << 31)
    content = (header(1) + bad * 40_000)[: midifile.MAX_FILE]
    began = time.process_time()
    (tmp_path / "x.mid").write_bytes(content)
    refused(tmp_path / "x.mid")
    (tmp_path / "x.mid").write_bytes(header(1) + chunk(b"\x80" * 300_000))
    refused(tmp_path / "x.mid")
    assert time.process_time() - began < 10.0


def test_an_endless_length_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "x.mid").write_bytes(b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\x7f\xff\xff\xff\0\xf0\xff\xff\xff\x7f")
    refused(tmp_path / "x.mid")


@pytest.mark.parametrize(
    ("overlap", "found"),
    [
        ("end", [(0.0, 1.0, 10), (1.0, 2.0, 20)]),
        ("replace", [(1.0, 1.0, 20)]),
        ("queue", [(0.0, 2.0, 10), (1.0, 2.0, 20)]),
    ],
)
def test_a_note_that_begins_again_while_it_sounds(
    tmp_path: Path, overlap: midifile.Overlap, found: list[tuple[float, float, int]]
) -> None:
    track = mido.MidiTrack(
        [
            mido.Message("note_on", note=60, velocity=10, time=0),
            mido.Message("note_on", note=60, velocity=20, time=480),
            mido.Message("note_off", note=60, time=480),
            mido.Message("note_off", note=60, time=480),
            mido.MetaMessage("end_of_track", time=480),
        ]
    )
    mido.MidiFile(ticks_per_beat=480, tracks=[track]).save(tmp_path / "a.mid")
    song = midifile.read(tmp_path / "a.mid", overlap)
    assert [(n.start, n.length, round(127 * n.velocity)) for n in song.tracks[0].notes] == found
    assert song.length == 4.0


def keys(*events: tuple[str, int, int]) -> mido.MidiTrack:
    """A track of key 60: "on" or "off", velocity, and ticks since the one before."""
    return mido.MidiTrack(mido.Message(f"note_{kind}", note=60, velocity=v, time=t) for kind, v, t in events)


def test_a_unison_sounds_until_both_keys_are_up(tmp_path: Path) -> None:
    both = keys(("on", 90, 0), ("on", 70, 0), ("off", 0, 480), ("off", 0, 1440))
    mido.MidiFile(ticks_per_beat=480, tracks=[both]).save(tmp_path / "a.mid")
    assert midifile.read(tmp_path / "a.mid").tracks[0].notes == (MidiNote(0.0, 4.0, 60, 90 / 127, 1, 0),)


def test_a_key_that_lacks_a_note_off_ends_at_the_first(tmp_path: Path) -> None:
    one = keys(("on", 90, 0), ("on", 70, 480), ("off", 64, 480), ("on", 80, 960), ("off", 64, 480))
    mido.MidiFile(ticks_per_beat=480, tracks=[one]).save(tmp_path / "a.mid")
    found = [(note.start, note.length) for note in midifile.read(tmp_path / "a.mid").tracks[0].notes]
    assert found == [(0.0, 1.0), (1.0, 1.0), (4.0, 1.0)]


def test_a_key_that_two_tracks_hold_ends_with_the_later(tmp_path: Path) -> None:
    hands = [keys(("on", 90, 0), ("off", 0, ticks)) for ticks in (1920, 480)]
    mido.MidiFile(ticks_per_beat=480, tracks=hands).save(tmp_path / "a.mid")
    events = [(at, event.kind) for at, event in note_file.read(tmp_path / "a.mid", 1000).events]
    assert events == [(0, "on"), (2000, "off")]


def test_programs_and_bars_are_read_with_their_beats(tmp_path: Path) -> None:
    track = mido.MidiTrack(
        [
            mido.MetaMessage("time_signature", numerator=6, denominator=8, time=0),
            mido.Message("program_change", program=40, channel=3, time=0),
            mido.Message("note_on", note=60, velocity=10, channel=3, time=0),
            mido.Message("program_change", program=41, channel=3, time=480),
            mido.MetaMessage("time_signature", numerator=4, denominator=4, time=960),
        ]
    )
    mido.MidiFile(type=0, ticks_per_beat=480, tracks=[track]).save(tmp_path / "a.mid")
    song = read(tmp_path / "a.mid")
    assert song.tracks[0].program == 40
    assert song.tracks[0].controls == (
        MidiControlChange(0.0, "program", 40, 0.0, 4),
        MidiControlChange(1.0, "program", 41, 0.0, 4),
    )
    assert song.meters == ((0.0, 3.0), (3.0, 4.0))


def test_of_key_signatures_on_one_beat_the_first_is_read(tmp_path: Path) -> None:
    midi = mido.MidiFile()
    for key in ("C", "C", "D"):
        first = mido.MetaMessage("key_signature", key=key)
        midi.tracks.append(mido.MidiTrack([first, mido.MetaMessage("key_signature", key="F#m", time=480)]))
    midi.save(tmp_path / "x.mid")
    assert read(tmp_path / "x.mid").keys == ((0.0, "C"), (1.0, "F#m"))
