"""The tables of harmony are counted from songs, and a song is given the key that its chords fit."""

import pytest

from antiphon_models.accompany import synthetic, training


def test_a_wrong_key_is_corrected_under_the_counted_tables() -> None:
    counted = [training.rows(song) for song in synthetic.songs(1, 12)]
    keys = [song.key for song in counted]
    tables = training.count(counted)
    assert tables.first.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    # of the likeliest successors of I, none is I's own parallel
    assert tables.next[0, 0, 0, 7] > 10 * tables.next[0, 0, 0, 12]
    counted[3].key = (keys[3] + 6) % 12 + keys[3] // 12 * 12
    assert training.assign_keys(counted, tables) >= 1
    agreeing = sum(song.key == key for song, key in zip(counted, keys, strict=True))
    assert counted[3].key == keys[3]
    assert agreeing >= 10, "relative keys may be confused in one or two of twelve"


def test_the_bars_begin_where_chords_change() -> None:
    (song,) = (training.rows(song) for song in synthetic.songs(2, 1))
    assert training.phase(song) == 0
    song.place = (song.place + 1) % 4
    assert training.phase(song) == 1
