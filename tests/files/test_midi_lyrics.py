"""Lyrics of MIDI files by other programs, as words of syllables."""

from pathlib import Path

import mido
import pytest

from antiphon.files.scores import midifile
from antiphon.signal.lyrics import syllables

Event = tuple[str, str]


def lyrics(folder: Path, *notes: Event | list[Event] | None) -> str:
    """Words of a track: the texts before each note of a beat, "" without one; held notes are the rest."""
    track = mido.MidiTrack()
    for note in notes:
        for kind, text in [note] if isinstance(note, tuple) else note or []:
            track.append(mido.MetaMessage(kind, text=text))
        track.append(mido.Message("note_on", note=60, velocity=90))
        track.append(mido.Message("note_off", note=60, time=480))
    mido.MidiFile(ticks_per_beat=480, charset="utf-8", tracks=[track]).save(folder / "a.mid")
    (read,) = midifile.read(folder / "a.mid").tracks
    return " ".join(f"{at:g}:{text}" for at, text in read.lyrics)


def events(*texts: str) -> list[Event]:
    return [("lyrics", text) for text in texts]


@pytest.mark.parametrize(
    ("first", "last"), [("के-", "री"), ("scho\N{COMBINING DIAERESIS}-", "ne"), ("می\N{ZERO WIDTH NON-JOINER}-", "خ")]
)
def test_every_mark_of_a_syllable_is_kept(tmp_path: Path, first: str, last: str) -> None:
    composed = first.replace("o\N{COMBINING DIAERESIS}", "ö")
    assert lyrics(tmp_path, *events(first, last)) == f"0:{composed} 1:{last}"


def test_a_typed_text_is_composed() -> None:
    assert [one.text for one in syllables("scho\N{COMBINING DIAERESIS}ne")] == [one.text for one in syllables("schöne")]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("Twin", "kle ", "twin", "kle\r", "lit", "tle "), "0:Twin- 1:kle 2:twin- 3:kle 4:lit- 5:tle"),
        (("Twin", "kle ", "twin", "kle", "\rlit", "tle "), "0:Twin- 1:kle 2:twin- 3:kle 4:lit- 5:tle"),
        (("Twin", "kle ", "twin", "kle", "/lit", "tle "), "0:Twin- 1:kle 2:twin- 3:kle 4:lit- 5:tle"),
        (("Twin", "kle\\", "star ", "I "), "0:Twin- 1:kle 2:star 3:I"),
        (("whole", "words\r", "each"), "0:whole 1:words 2:each"),
        (("Twin-", "kle", "_", "2"), "0:Twin- 1:kle 2:- 3:2"),
    ],
)
def test_a_lines_end_ends_a_word_of_lyric_events(tmp_path: Path, texts: tuple[str, ...], words: str) -> None:
    assert lyrics(tmp_path, *events(*texts)) == words


def test_a_lines_end_by_itself_is_the_last_words(tmp_path: Path) -> None:
    notes = [*events("Twin", "kle"), [("lyrics", "\n"), ("lyrics", "star ")]]
    assert lyrics(tmp_path, *notes) == "0:Twin- 1:kle 2:star"


def test_tags_and_other_texts_are_no_words(tmp_path: Path) -> None:
    first = [("lyrics", "{@LATIN}"), ("lyrics", "Oh ")]
    assert lyrics(tmp_path, first, ("lyrics", "{#T=x}yes ")) == "0:Oh 1:yes"
    first = [("text", "made by hand"), ("text", "\\Oh ")]
    assert lyrics(tmp_path, first, ("text", "yes")) == "0:Oh 1:yes"
    first = [("text", "verse"), ("lyrics", "Oh ")]
    assert lyrics(tmp_path, first, ("lyrics", "yes")) == "0:Oh 1:yes"


def test_karaoke_by_abc2midi_ends_a_word_at_a_held_note(tmp_path: Path) -> None:
    first = [("text", "notes/lyric track"), ("text", "/Twin")]
    notes = [first, ("text", "kle"), None, ("text", "star"), ("text", " how"), ("text", " won"), ("text", "der")]
    assert lyrics(tmp_path, *notes) == "0:Twin- 1:kle 3:star 4:how 5:won- 6:der"
