"""`antiphon play SONG --with-me`: the patch that it plays, rendered."""

import json
import socket

import numpy as np
import pytest

from antiphon.api import AntiphonError, UsageError
from antiphon.cli import play, play_song
from antiphon.cli.command import Command
from antiphon.cli.files.render import render
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.testing import attacks, level, read
from antiphon_record.kernels import STEMS
from antiphon_record.tests.made import RATE, put_hits, put_record, put_tone, silence


@pytest.mark.needs("follow", "hum")
def test_its_patch_plays_the_record_without_its_voice(tmp_path):
    stems = silence(10.5)
    put_tone(stems, "voice", 440.0)
    put_tone(stems, "bass", 110.0, 0.1)
    put_hits(stems, np.arange(1, 20) * 0.5)
    song = put_record(tmp_path / "song.wav", stems)
    text = play_song.patch_of_record(play_song.RECORD_PATCH, str(song))
    assert f'file = "{song}"' in text
    assert "tempo = 120" in text
    assert 'range = "86-168"' in text
    patch, events, out = tmp_path / "with.toml", tmp_path / "e.jsonl", tmp_path / "out.wav"
    patch.write_text(text)
    events.write_text(json.dumps({"time": 0.0, "address": "/transport/play", "args": []}))
    Command(None, render).call(patch=str(patch), out=str(out), events=str(events), seconds=4.0, tail=0.0, limit=False)
    sound, _ = read(out)
    stems[STEMS.index("voice")] = 0.0
    wanted, inside = stems.sum(axis=0), slice(RATE, 3 * RATE)
    assert abs(level(sound[:, inside]) - level(wanted[:, inside])) < 0.3
    np.testing.assert_allclose(np.diff(attacks(sound[:, inside])), 0.5, atol=0.01)


def test_without_a_song_or_a_node_it_says_so(tmp_path):
    with pytest.raises(UsageError, match="--with-me plays a sound file with you; name one"):
        play.play(ServeSettings(), with_me=True)
    song = put_record(tmp_path / "song.wav", silence(10.5))
    with pytest.raises(UsageError, match="the patch through has no node record; withme has one"):
        play_song.patch_of_record("through", str(song))


@pytest.mark.parametrize(
    ("options", "said"), [({"with_me": True}, "name a sound file, or"), ({}, "name a MIDI file, or")]
)
def test_a_file_that_is_not_there_is_asked_for_by_its_kind(tmp_path, options, said):
    with pytest.raises(UsageError, match=f"there is no file none.mp3; {said} a patch by --patch"):
        play.play(ServeSettings(audio="headless", osc_port=0, http_port=0), song="none.mp3", **options)


def test_a_taken_port_is_said_before_a_recording_is_prepared(tmp_path, monkeypatch):
    monkeypatch.setattr(play_song, "patch_of_record", None)
    song = put_record(tmp_path / "song.wav", silence(10.5))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        asked = ServeSettings(audio="headless", osc_port=taken.getsockname()[1], http_port=0)
        with pytest.raises(AntiphonError, match="use"):
            play.play(asked, song=str(song), with_me=True)
