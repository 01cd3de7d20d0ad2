"""Data sets with tempo, keys, chords, beats, sections and stems: read as values; trees that `folder` cannot mean."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from tests.datasets.trees import TREES, sound, table, text
from tests.each import each

from antiphon.kernel.errors import FileError
from antiphon_models.datasets.annotations import AnnotatedBeat, AnnotatedSpan, MusicAnnotations, annotations_of, key_of
from antiphon_models.datasets.checking import check
from antiphon_models.datasets.layouts import SIGNS, listing_of
from antiphon_models.datasets.records import Item


def items(name: str, root: Path) -> dict[str, Item]:
    TREES[name][0](root)
    return {item.name: item for item in listing_of(name, root).items}


def test_the_lists_of_isophonics_are_values(tmp_path: Path) -> None:
    first, second = items("isophonics", tmp_path).values()
    assert annotations_of(tmp_path, first) == MusicAnnotations(
        beats=(AnnotatedBeat(0.5, 4), AnnotatedBeat(1.25, 1), AnnotatedBeat(2.0, 0)),
        chords=(AnnotatedSpan(0.0, 0.5, "N"), AnnotatedSpan(0.5, 2.0, "A:min/b3")),
        keys=(AnnotatedSpan(0.5, 2.0, "A minor"),),
        sections=(AnnotatedSpan(0.0, 2.0, "verse 1 (a)"),),
    )
    assert list(second.annotations) == ["chords"]
    assert check("isophonics", tmp_path).annotated == {"beats": 1, "chords": 2, "keys": 1, "sections": 1}


def test_tempo_and_key_are_numbers_and_names(tmp_path: Path) -> None:
    assert items("giantsteps-tempo", tmp_path / "t")["11.LOFI"].tempo == 128.5
    keys = items("giantsteps-key", tmp_path / "k")
    assert (keys["11.LOFI"].key, keys["22.LOFI"].fault) == ("F# minor", "its key is not one: -")
    dance = items("ballroom", tmp_path / "b")["Media-7"]
    assert (dance.tempo, dance.labels, dance.group) == (87.0, ("Tango",), "Media-7")
    assert annotations_of(tmp_path / "b", dance).beats == (
        AnnotatedBeat(0.5, 1),
        AnnotatedBeat(1.25, 2),
        AnnotatedBeat(2.0),
    )
    take = items("guitarset", tmp_path / "g")["03_SS3-119-G_solo"]
    assert annotations_of(tmp_path / "g", take) == MusicAnnotations(
        119.0, "", (AnnotatedBeat(0.5, 2),), (AnnotatedSpan(0.0, 2.0, "G:maj"),), (AnnotatedSpan(0.0, 4.0, "G minor"),)
    )
    assert take.labels == ("singer-songwriter",)


@each("written, key", [
     ("D major", "D major"), ("Amin", "A minor"), ("Eb:minor", "Eb minor"), ("c#m", "C# minor"), ("E", "E major"),
     ("C:maj", "C major"), ("G:mixolydian", ""), ("-", ""), ("Silence", "")])  # fmt: skip
def test_keys_as_data_sets_write_them(written: str, key: str) -> None:
    assert key_of(written) == key


def test_stems_have_instruments_and_what_was_not_rendered_is_not_missing(tmp_path: Path) -> None:
    track = items("slakh", tmp_path)["train/Track00001"]
    assert {Path(file).name: kind for file, kind in track.stems.items()} == {"S00.flac": "Bass", "S01.flac": "Drums"}
    assert [Path(file).name for file in track.files] == [
        "mix.flac",
        "S00.flac",
        "S01.flac",
        "metadata.yaml",
        "all_src.mid",
        "S00.mid",
        "S01.mid",
    ]


def test_labels_of_instruments_are_words_and_excerpts_of_a_recording_share_a_group(tmp_path: Path) -> None:
    found = items("irmas", tmp_path).values()
    assert [(item.labels, item.group) for item in found] == [
        (("cello",), "0058"),
        (("cello",), "0058"),
        (("voice",), "2400"),
        (("electric guitar", "voice"), "01 Song"),
    ]
    for place in ("cel/x", "voi/x"):  # named by oneself: each is a song of its own
        sound(tmp_path / f"IRMAS-TrainingData/{place}.wav")
    own = {item.group: item.labels for item in items("irmas", tmp_path).values() if item.group.endswith("/x")}
    assert own == {"cel/x": ("cello",), "voi/x": ("voice",)}
    tags = items("jamendo-genre", tmp_path / "j")
    assert tags["track_2"].labels == ("rock", "flute")
    assert items("jamendo", tmp_path / "all")["track_0"].labels == ("genre---rock",)


def test_a_list_that_is_none_is_damaged_when_thorough(tmp_path: Path) -> None:
    TREES["isophonics"][0](tmp_path)
    text(tmp_path / "annotations/chordlab/The Band/01_-_Album/2 Second.lab", "a chord\n")
    assert check("isophonics", tmp_path).whole
    assert "of 2 fields: start, end and a label" in next(
        iter(check("isophonics", tmp_path, thorough=True).damaged.values())
    )


@pytest.mark.parametrize("name", sorted(SIGNS))
def test_the_tree_of_a_known_data_set_is_no_folder_of_classes(name: str, tmp_path: Path) -> None:
    TREES[name][0](tmp_path)
    with pytest.raises(FileError, match=rf"is not laid out as folder is.*did you mean ([\w-]+ or )?{name}\b"):
        listing_of("folder", tmp_path)


def test_a_folder_of_which_no_class_can_be_told_is_refused(tmp_path: Path) -> None:
    for names, table_name in ((["audio"], "meta.csv"), (["train", "test"], ""), (["birds"], "labels.csv")):
        top = tmp_path / names[0]
        for name in names:
            sound(top / name / "1.wav")
        if table_name:
            table(top / table_name, [["file", "label"]])
        with pytest.raises(FileError, match=f"the names of folders are the classes, and .*{names[0]} is none"):
            check("folder", top)
    sound(tmp_path / "set/genres/country/country.00000.wav")
    with pytest.raises(FileError, match="the names of folders are the classes, and genres is none"):
        check("folder", tmp_path / "set")
    sound(tmp_path / "birds/bees/1.wav")
    assert check("folder", tmp_path / "birds").labels == {"bees": 1, "birds": 1}


@pytest.mark.parametrize("suffix", [".jams", ".lab", ".txt"])
@given(content=st.text(max_size=60) | st.sampled_from(['{"annotations": 3}', '{"annotations": [{"data": [4]}]}']))
def test_no_text_makes_reading_fail_otherwise(suffix: str, content: str, tmp_path: Path) -> None:
    (tmp_path / f"one{suffix}").write_text(content)
    with contextlib.suppress(FileError):
        annotations_of(
            tmp_path, Item("one", (), annotations=dict.fromkeys(("beats", "chords", "keys"), f"one{suffix}"))
        )


@pytest.mark.parametrize("value", [3, None, {"position": None}, {"position": 2}, {"position": "x"}, [1]])
def test_beats_in_jams_have_a_position_or_none(value: object, tmp_path: Path) -> None:
    jams = {"annotations": [{"namespace": "beat_position", "data": [{"time": 1, "value": value}]}]}
    text(tmp_path / "a.jams", json.dumps(jams))
    item = Item("a", (), annotations={"beats": "a.jams"})
    if value == {"position": "x"}:
        with pytest.raises(FileError, match="'x' where a number was expected"):
            annotations_of(tmp_path, item)
    else:
        assert annotations_of(tmp_path, item).beats == (AnnotatedBeat(1.0, 2 if value == {"position": 2} else 0),)
