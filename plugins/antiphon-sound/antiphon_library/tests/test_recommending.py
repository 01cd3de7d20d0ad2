"""What comes next, the map and what is learned from logs, on catalogues of known content."""

import json
import os
import struct
import sys
import tracemalloc
import wave
import zlib
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.each import each

from antiphon.api.backends.files import Misfit, convert_fields
from antiphon.files.sound_picture import png_bytes
from antiphon.kernel.errors import FileError, UsageError
from antiphon_library import chart, excerpt
from antiphon_library.catalogue import Catalogue
from antiphon_library.operations import Next
from antiphon_library.records import FileEntry, FileState, SoundIdentity
from antiphon_library.taste import logs
from antiphon_library.taste.choosing import (
    TrackKernel,
    TrackTable,
    components,
    next_summaries,
    numbers,
    playlist,
    predict_preferences,
    track_preferences,
)
from antiphon_library.taste.logs import companions
from antiphon_library.taste.personality import collage, most_informative_track, voices
from antiphon_library.taste_tables import Signal, TrackRow

CLUSTERS, EACH = 3, 12


def vector(values: object) -> np.ndarray:
    return np.asarray(values, np.float32)


def rows(*, tags: bool = True, seed: int = 1) -> list[TrackRow]:
    """Tracks in three clusters of sound; each cluster is a genre of two artists."""
    rng = np.random.default_rng(seed)
    centres = 4.0 * np.eye(8)[:CLUSTERS]
    found = []
    for n in range(CLUSTERS * EACH):
        cluster = n % CLUSTERS
        said = (
            {"artist": f"artist {cluster} {n % 2}", "genre": f"genre {cluster}", "title": f"title {n}"} if tags else {}
        )
        found.append(TrackRow(n, b"/m/%d.wav" % n, said, 100.0, vector(centres[cluster] + rng.normal(0.0, 0.5, 8))))
    return found


def said(kind: str, *sounds: int) -> list[Signal]:
    return [Signal(sound, kind, 1000.0) for sound in sounds]


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue(tmp_path / "root") as found:
        rng = np.random.default_rng(3)
        for n in range(8):
            sound = SoundIdentity(f"s{n}", 10.0, 44100, 2)
            tags = {"artist": f"A{n % 3}", "title": f"T{n}", "genre": "G"}
            found.put(FileEntry(b"/music/%d.wav" % n, FileState(1, 1), f"f{n}", sound, tags))
            if n < 7:
                found.put_results(f"s{n}", {"tags": (3, {"tag_embedding": rng.normal(0.0, 1.0, 6).tolist()}, "")})
        yield found


def path_of(catalogue: Catalogue, name: str) -> bytes:
    return next(row.path for row in catalogue.rows() if row.path.endswith(name.encode()))


@pytest.mark.parametrize("tags", [True, False])
def test_what_is_liked_brings_its_own_kind(tags: bool) -> None:
    table = TrackTable(rows(tags=tags))
    chosen = playlist(table, said("like", 0, 3), 6, now=1000.0)
    assert [choice.row.id % CLUSTERS for choice in chosen] == [0] * 6
    assert not {0, 3} & {choice.row.id for choice in chosen}
    assert chosen[0].score > 0.1
    first = {f"sounds like {name}" for name in (("title 0", "title 3") if tags else ("0.wav", "3.wav"))}
    assert chosen[0].why in first
    assert not {choice.why for choice in playlist(table, [], 2, now=1000.0)[:1]} - {""}


def test_a_track_takes_little_memory(tmp_path: Path) -> None:
    """The vectors of 100,000 tracks as lists of numbers took 440 MB of a server."""
    count, length = 500, 60
    with Catalogue(tmp_path / "root") as many:
        rng = np.random.default_rng(3)
        for n in range(count):
            sound = SoundIdentity(f"s{n}", 10.0, 44100, 2)
            tags = {"artist": f"An artist of a long name, who has many tracks {n % 5}", "genre": "G"}
            many.put(FileEntry(b"/music/%d.wav" % n, FileState(1, 1), f"f{n}", sound, tags))
            many.put_results(f"s{n}", {"tags": (3, {"tag_embedding": rng.normal(0.0, 9.0, length).tolist()}, "")})
        tracemalloc.start()
        try:
            tracks = many.taste.tracks()
            used = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
    assert len(tracks) == count
    assert used < count * (4 * length + 900)


def test_loops_and_one_shots_are_not_recommended(catalogue: Catalogue) -> None:
    stroke = {"loop_confidence": 0.01, "loop_ending": -40.0, "no_loop": None}
    noise = {"loop_confidence": 0.01, "loop_ending": -1.0, "no_loop": None}
    beat = {"loop_confidence": 0.9, "loop_ending": -1.0, "no_loop": None}
    for sound, values in (("s0", stroke), ("s1", noise), ("s2", beat), ("s7", noise)):  # s7 has nothing else
        catalogue.put_results(sound, {"loop": (4, values, "")})
    catalogue.put_results("s3", {"loop name 80": (3, beat, "")})
    table = TrackTable.load(catalogue.taste)
    assert [row.id for row in table.rows if row.id not in table.samples] == [2, 5, 6, 7]
    assert {choice.row.id for choice in playlist(table, [], 9)} == {2, 5, 6, 7}
    catalogue.forget([b"/music/%d.wav" % n for n in (1, 4, 5, 6)])
    with pytest.raises(UsageError, match="holds only loops and one-shots, which --all takes"):
        next_summaries(catalogue, Next())


@each("count", [3, 7, 15, 21, 60])
def test_next_in_a_small_library_is_the_most_alike(count: int) -> None:
    rng = np.random.default_rng(count)
    sounds = rng.normal(0.0, 1.0, (count, 200)) + 3.0 * rng.normal(0.0, 1.0, 200)
    sounds[1] = sounds[0] + 0.3 * rng.normal(0.0, 1.0, 200)  # a copy, and a remaster
    sounds[2] = sounds[0] + 0.7 * rng.normal(0.0, 1.0, 200)
    table = TrackTable([TrackRow(n, b"/m/%d.wav" % n, {}, 100.0, vector(row)) for n, row in enumerate(sounds)])
    chosen = playlist(table, said("like", 0), count, now=1000.0)
    assert [choice.row.id for choice in chosen[: min(2, count - 1)]] == [1, 2][: count - 1]
    scores = [choice.score for choice in chosen]
    assert scores[0] > scores[1] + 0.005, "equal scores say nothing"
    assert count == 3 or scores[1] > scores[2] + 0.05


def test_speech_and_ambience_follow_only_where_nothing_else_is(catalogue: Catalogue) -> None:
    said_or_rain = {"content": "noise", "content_sure": 0.9, "speechiness": 0.0, "instrumentalness": 1.0}
    for n in range(7):
        if n != 2:
            heard = {**said_or_rain, "loop_confidence": 0.0, "loop_ending": -1.0, "tempo_confidence": 0.0}
            catalogue.put_results(f"s{n}", {"genre": (1, {**heard, "key_confidence": 0.0}, "")})
    table = TrackTable.load(catalogue.taste)
    assert {row.id for row in table.rows if row.id not in table.samples} == {3, 8}, "s2, and s7 of an unknown kind"
    found = next_summaries(catalogue, Next(count=9))
    assert (len(found.matches), found.left_out) == (2, 6)
    assert len(next_summaries(catalogue, Next(count=9, all=True)).matches) == 8
    catalogue.forget([b"/music/2.wav", b"/music/7.wav"])
    assert len(next_summaries(catalogue, Next(count=9)).matches) == 6


def test_what_is_disliked_is_never_given_and_skips_push_away() -> None:
    table = TrackTable(rows())
    signals = said("like", 0) + said("dislike", 1) + said("skip", 2)
    later = playlist(table, signals, 36, now=1000.0 + 86400.0)
    assert [choice.row.id for choice in later].count(1) == 0
    assert len(later) == 35
    mean = predict_preferences(table, signals, 1000.0)
    assert mean[6] > mean[4] > -1.0
    assert mean[5] > mean[4]  # a skip says less than a dislike


def test_the_track_that_plays_is_followed_by_one_like_it_and_artists_change() -> None:
    table = TrackTable(rows())
    chosen = playlist(table, [], 6, after=1, now=1000.0)
    assert chosen[0].row.id % CLUSTERS == 1
    artists = [choice.row.tags["artist"] for choice in chosen[:4]]
    assert len(set(artists)) > 1
    assert chosen == playlist(table, [], 6, after=1, now=1000.0)


def test_an_old_signal_weighs_less() -> None:
    table = TrackTable(rows())
    fresh = predict_preferences(table, said("like", 0), 1000.0)[3]
    assert predict_preferences(table, said("like", 0), 1000.0 + 60 * 86400.0)[3] == pytest.approx(0.5 * fresh)


def test_companions_are_those_in_the_same_lists() -> None:
    found = {(a, b): weight for a, b, weight in companions([[1, 2, 2], [2, 1], [1, 3], [4]])}
    assert found[1, 2] == found[2, 1] == pytest.approx(2 / np.sqrt(23 * 22))
    assert found[1, 3] == pytest.approx(1 / np.sqrt(23 * 21))
    assert (2, 3) not in found
    kernel = TrackKernel(
        np.zeros((5, 1)), numbers([""] * 5), numbers([""] * 5), {1: {2: 0.5}, 2: {1: 0.5}}, content=0.0
    )
    assert track_preferences(kernel, [1], [1.0]).argsort()[-2:].tolist() == [2, 1]


def test_signals_are_kept_and_files_named_by_path_or_number(catalogue: Catalogue) -> None:
    liked = path_of(catalogue, "3.wav")
    matches = next_summaries(catalogue, Next(count=3, like=os.fsdecode(liked))).matches
    assert len(matches) == 3
    assert {"path", "title", "artist", "score", "id"} <= set(matches[0])
    number = catalogue.taste.sound_of_file(liked)
    assert number not in [match["id"] for match in matches]
    played = str(path_of(catalogue, "1.wav"), "utf-8")
    next_summaries(catalogue, Next(count=2, skip=matches[0]["id"], after=played))
    assert [signal.kind for signal in catalogue.taste.signals()] == ["like", "skip", "play"]
    assert catalogue.taste.delete_signals() == 3


def test_a_bad_request_is_one_sentence_and_stores_nothing(catalogue: Catalogue) -> None:
    bodies: tuple[dict[str, Any], ...] = (
        {"like": 99999}, {"like": [[]]}, {"like": "\ud800" * 5}, {"like": "\0"}, {"after": -1}, {"skip": [1] * 201},
        {"like": 10**30}, {"like": "x" * 30000},
    )  # fmt: skip
    for body in bodies:
        with pytest.raises((UsageError, Misfit)) as error:
            next_summaries(catalogue, convert_fields(body, Next, "next"))
        assert len(str(error.value)) < 400
    assert catalogue.taste.signals() == []


def test_a_forgotten_file_takes_its_signals_and_place_with_it(catalogue: Catalogue) -> None:
    path = path_of(catalogue, "0.wav")
    next_summaries(catalogue, Next(like=os.fsdecode(path)))
    chart.place_tracks(catalogue)
    before = len(catalogue.taste.places())
    catalogue.forget([path])
    assert catalogue.taste.signals() == []
    assert len(catalogue.taste.places()) == before - 1


def test_the_map_keeps_neighbours_better_than_two_components() -> None:
    rng = np.random.default_rng(5)
    points = components(np.concatenate([c + rng.normal(0.0, 0.6, (30, 10)) for c in 3.0 * np.eye(10)[:6]]))
    places = chart.map_places(points)
    trust = chart.trustworthiness(points, places)
    assert trust > 0.85
    assert trust > chart.trustworthiness(points, chart.principal_components(points)) + 0.02
    assert np.array_equal(places, chart.map_places(points))
    assert chart.trustworthiness(points, points) == 1.0
    beside = chart.interpolated_places(points[:3], points[3:], places[3:])
    near = np.linalg.norm(places[3:30] - places[3:30].mean(axis=0), axis=1).max()
    assert (np.linalg.norm(beside - places[3:30].mean(axis=0), axis=1) < 2.0 * near).all()


def test_without_scikit_learn_a_sentence_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(UsageError, match=r"needs scikit-learn, .*; `pip install 'antiphon\[map\]'` installs it"):
        chart.map_places(np.eye(9))


def test_new_tracks_are_placed_and_no_other_moves(catalogue: Catalogue) -> None:
    first = chart.place_tracks(catalogue)
    assert len(first.rows) == 7
    kept = catalogue.taste.places()
    digest = catalogue.sounds()[-1][0]
    catalogue.put_results(digest, {"tags": (3, {"tag_embedding": [0.1] * 6}, "")})
    second = chart.place_tracks(catalogue)
    assert len(second.rows) == 8
    assert {sound: catalogue.taste.places()[sound] for sound in kept} == kept
    found = chart.chart(second)
    assert {artist["name"]: artist["tracks"] for artist in found.artists} == {"A0": 3, "A1": 3, "A2": 2}
    assert set(found.artists[0]["nearest"]) == {"A1", "A2"}
    assert found.genres[0]["tracks"] == 8


def test_a_picture_is_drawn_whatever_names_are(catalogue: Catalogue) -> None:
    hostile = "\u202e<b>" + "é" * 30000
    placement = chart.Placement(
        [TrackRow(1, b"\xff.wav", {"artist": hostile, "genre": "\n\t"}, 1.0, vector([0.0]))] * 2,
        np.zeros((2, 1)),
        np.zeros((2, 2)),
    )
    found = chart.chart(placement)
    assert all(len(artist["name"]) <= chart.MAX_NAME for artist in found.artists)
    assert json.dumps(found.plain(), allow_nan=False)
    chart.draw(found)
    image = chart.draw(chart.chart(chart.place_tracks(catalogue)))
    data = png_bytes(image)
    assert data.startswith(b"\x89PNG")
    (length,) = struct.unpack(">I", data[33:37])
    lines = np.frombuffer(zlib.decompress(data[41 : 41 + length]), np.uint8).reshape(chart.HEIGHT, -1)
    assert np.array_equal(lines[:, 1:].reshape(image.shape), image)
    drawn = (image != np.array(chart.PAPER, np.uint8)).any(axis=2)
    assert 200 < drawn.sum() < 0.1 * drawn.size


def test_a_track_without_tags_has_the_genre_that_was_heard_and_its_title_in_the_picture(catalogue: Catalogue) -> None:
    for n, genre in ((8, "techno"), (9, "unknown")):
        catalogue.put(FileEntry(b"/m/%d.wav" % n, FileState(1, 1), f"f{n}", SoundIdentity(f"s{n}", 10.0, 44100, 2)))
        found = {"tag_embedding": [10.0 * n] + 5 * [0.0]}
        catalogue.put_results(f"s{n}", {"tags": (3, found, ""), "genre": (1, {"genre": genre}, "")})
    placement = chart.place_tracks(catalogue)
    named = chart.chart(placement)
    assert [track["genre"] for track in named.tracks][-2:] == ["techno", ""]
    assert ("techno", 1) in [(genre["name"], genre["tracks"]) for genre in named.genres]
    without = [replace(row, path=b"") for row in placement.rows]
    bare = chart.chart(replace(placement, rows=without))
    assert (chart.draw(named) != chart.draw(bare)).any()


def test_logs_of_the_million_playlist_and_of_last_fm_are_read(tmp_path: Path) -> None:
    million, lastfm = tmp_path / "mpd" / "data", tmp_path / "lastfm"
    million.mkdir(parents=True)
    lastfm.mkdir()

    def slice_of(*lists: list[tuple[str, str]]) -> str:
        tracks = [
            [{"pos": 0, "artist_name": a, "track_uri": "spotify:track:x", "track_name": t} for a, t in one]
            for one in lists
        ]
        return json.dumps(
            {"info": {}, "playlists": [{"pid": n, "name": "x", "tracks": one} for n, one in enumerate(tracks)]}
        )

    (million / "mpd.slice.0-999.json").write_text(slice_of([("artist 0 0", "Title 0"), ("ARTIST 1 1", "title 1")], []))
    (million / "mpd.slice.1000-1999.json").write_text(slice_of([("artist 0 0", "title 0"), ("artist 0 1", "title 3")]))
    count, matched, pairs = logs.count_companions(rows(), logs.lists(million.parent))
    assert (count, matched) == (3, 3)
    assert {(a, b) for a, b, _ in pairs} == {(0, 1), (1, 0), (0, 3), (3, 0)}
    lines = ["u1\tm\tartist 0 0\t137", "u1\t\tartist 2 1\t5", "u2\tm\tnobody\t1"]
    (lastfm / logs.PLAYS).write_text("\n".join(lines) + "\n")
    assert list(logs.lists(lastfm)) == [[("artist 0 0", ""), ("artist 2 1", "")], [("nobody", "")]]
    assert logs.count_companions(rows(), logs.lists(lastfm))[1] > 2
    (lastfm / logs.PLAYS).write_text("u1\tonly two")
    with pytest.raises(FileError, match="line 1"):
        list(logs.lists(lastfm))
    for bad in (
        "[",
        '{"playlists": 3}',
        '{"playlists": [{"tracks": [{"artist_name": 1, "track_name": ""}]}]}',
        "[" * 99999,
    ):
        (million / "mpd.slice.0-999.json").write_text(bad)
        with pytest.raises(FileError, match="no slice of the Million Playlist"):
            list(logs.lists(million.parent))
    with pytest.raises(FileError, match="holds no logs"):
        list(logs.lists(tmp_path))


def test_questions_tell_more_than_tracks_by_chance() -> None:
    table = TrackTable(rows())
    asked: list[int] = []
    for _ in range(CLUSTERS):
        found = most_informative_track(table.kernel, asked)
        assert found is not None
        asked.append(found)
    assert {n % CLUSTERS for n in asked} == set(range(CLUSTERS))
    assert most_informative_track(table.kernel, range(CLUSTERS * EACH)) is None
    assert {n % CLUSTERS for n in voices(table.kernel, 4)} == {1}


def test_an_excerpt_begins_at_the_chorus_and_a_collage_is_even(music: Path) -> None:

    path = music / "long.wav"
    time = np.arange(30 * 8000) / 8000
    soundfile.write(path, np.where(time < 12.0, 0.01, 0.4) * np.sin(2 * np.pi * 300 * time), 8000)
    start = excerpt.begins(30.0, {"sections": [[0.0, 12.0, "verse"], [12.0, 30.0, "Chorus"]]})
    assert start == pytest.approx(10.0)  # so that it has its length
    assert excerpt.begins(10.0, {}) == 0.0
    with wave.open(BytesIO(excerpt.wav(bytes(path), 12.0, 5.0))) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, 8000, 5 * 8000)
        sound = np.frombuffer(file.readframes(5 * 8000), "<i2")
    assert np.sqrt((sound / 32767.0) ** 2).mean() > 0.2
    row = TrackRow(1, bytes(path), {}, 30.0, None)
    gone = TrackRow(2, b"/nowhere.wav", {}, 30.0, None)
    mixed = collage([(row, {}), (gone, {}), (row, {"downbeats": [13.0]})])
    assert mixed.shape[1] == pytest.approx(2 * 4 * 44100, rel=0.02)
    halves = [np.sqrt((part**2).mean()) for part in np.array_split(mixed, 2, axis=1)]
    assert halves[0] == pytest.approx(halves[1], rel=0.1)
