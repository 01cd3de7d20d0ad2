"""Preparation of recordings, with another separation than the networks'."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from antiphon.api import FileError
from antiphon.testing import noise, write
from antiphon_record import preparing
from antiphon_record.kernels import HALF_SCALE
from antiphon_record.preparing import RATE, Records, beat_places, prepare, read_prepared

BEATS = [0.1 + 0.5 * n for n in range(40)]
MUSIC = {
    "beats": BEATS,
    "downbeats": BEATS[1::4],
    "meter": "4/4",
    "sections": [[0.0, 8.7, "verse"], [8.6, 16.7, "chorus"]],
    "chords": [[0.6, 2.6, "C:maj"]],
}


@pytest.fixture
def parts(monkeypatch):
    """Half of a sound is its voice, and half its rest; beats are those of `MUSIC`."""

    def separate(blocks, rate, channels):
        return ("drums", "bass", "voice", "other"), (np.stack([0 * x, 0 * x, x / 2, x / 2]) for x in blocks)

    found = dict(MUSIC)
    monkeypatch.setattr(preparing, "separate_blocks", separate)
    monkeypatch.setattr(preparing, "analyse_file", lambda path, names, progress: {"music": (1, found, "")})
    return found


def test_a_recording_is_prepared_once(parts, tmp_path, monkeypatch):
    sound = noise(20 * 44100, 2, -20.0)
    path, shares = write(tmp_path / "a.wav", sound, 44100, "FLOAT"), []
    record = Records().prepare(path, lambda share, what: shares.append((share, what)))
    assert (record.name, record.meter, record.frames, record.remarks) == ("a.wav", 4, 20 * RATE, [])
    assert record.tempo == pytest.approx(120.0)
    # a bar before the first bar line, which is the second beat
    np.testing.assert_allclose(record.places[:5], (np.arange(-3, 2) * 0.5 + 0.1) * RATE)
    assert record.sections == [(4, 20, "verse"), (20, 36, "chorus")]
    assert record.chords == [(4.0, 8.0, "C:maj")]
    assert shares == sorted(shares)
    assert shares[-1] == (1.0, "stems")
    known, stems = read_prepared(path)
    assert known.places == record.places
    whole = stems.view("<i2").reshape(-1, 4, 2) * HALF_SCALE
    assert not whole[:, 1:3].any()
    np.testing.assert_array_equal(whole[:, 0], whole[:, 3])
    monkeypatch.setattr(preparing, "separate_blocks", None)
    assert prepare(path, None).places == record.places


def test_one_silent_side_is_played_on_both(parts, tmp_path):
    sound = noise(12 * RATE, 2, -20.0)
    sound[1] = 0.0
    path = write(tmp_path / "a.wav", sound)
    record = prepare(path, lambda share, what: None)
    assert record.remarks == ["the right side of a.wav is silent: the other is played on both"]
    stems = read_prepared(path)[1].view("<i2").reshape(-1, 4, 2)
    assert stems[:, 0, 1].any()
    np.testing.assert_array_equal(stems[:, :, 0], stems[:, :, 1])


@pytest.mark.parametrize(
    ("seconds", "beats", "said"),
    [
        (3, BEATS, "a.wav lasts 3 s; a record takes 10 s to 20 min"),
        (1201, BEATS, "a.wav lasts 20 min; a record takes 10 s to 20 min"),
        (12, None, "a.wav has no beat that a player could lead"),
        (12, BEATS[:5], "a.wav has no beat that a player could lead"),
    ],
)
def test_what_cannot_be_a_record_is_refused_in_a_sentence(parts, tmp_path, seconds, beats, said):
    parts["beats"] = beats
    path = write(tmp_path / "a.wav", np.zeros((1, seconds * 8000), np.float32), 8000)
    with pytest.raises(FileError) as refused:
        prepare(path, lambda share, what: None)
    assert str(refused.value) == said
    assert read_prepared(path) is None


def test_a_file_that_does_not_state_its_length_is_heard_for_the_longest_alone(parts, tmp_path, monkeypatch):
    path, heard = write(tmp_path / "a.wav", noise(12 * RATE)), []

    def analyse(path, names, progress):
        for second in range(3 * 3600):
            heard.append(second)
            progress(float(second))

    monkeypatch.setattr(preparing, "analyse_file", analyse)
    unstated = SimpleNamespace(rate=RATE, frames=None)
    monkeypatch.setattr(preparing, "Decoder", lambda path: nullcontext(SimpleNamespace(info=unstated)))
    with pytest.raises(FileError, match=r"^a\.wav lasts over 20 min; a record takes 10 s to 20 min$"):
        prepare(path, lambda share, what: None)
    assert heard[-1] < 1210


def test_a_beat_is_fitted_by_its_neighbours():
    steady = np.arange(32) * 0.5
    jitter = np.where(np.arange(32) % 2, 0.01, -0.01)
    places, meter = beat_places(steady + jitter, (), None)
    assert meter == 4
    assert np.abs(places[2:30] - steady[2:30] * RATE).max() <= 0.0021 * RATE
    waltz, threes = beat_places(steady, steady[2::3], "3/4")
    assert threes == 3
    np.testing.assert_allclose(waltz[:2], [-0.5 * RATE, 0.0])
