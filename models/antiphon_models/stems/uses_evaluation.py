"""`antiphon evaluate stems-uses`: what `hum` and `music` find with stems and without, on mixes whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from antiphon.api import F32, Samples
from antiphon.api.analysis import separate_blocks
from antiphon_hum.transcription.notes import notes_of
from antiphon_listen import onsets
from antiphon_listen.music import StemMusicRun
from antiphon_models.hum import testset
from antiphon_models.hum.evaluation import f1
from antiphon_models.hum.peers import Found
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, scored
from antiphon_models.learning.user_commands import run_as_it_comes, run_to_notes
from antiphon_models.listen.evaluation import MusicFound, figures, found_by, found_in
from antiphon_models.listen.songs import RATE, TEST, ListenedSong, read_song
from antiphon_models.material.sounds import mono, resampled, songs
from antiphon_models.stems import material

SUNG, PLAYED = "a voice over its band", "songs with drums added"
SONGS = 8
SECONDS = 60.0
"""Of a song."""
DRUMS = -3.0
"""dB of the drums beside the song."""
KIT = ("drum_heavy_kick", "drum_snare_hard", "drum_cymbal_closed")
"""Single sounds of Sonic Pi that no network of stems was trained on."""


class UsingStems(Evaluation):
    """Voices over bands, of the test set of `hum`, and songs of that of `listen`, with a kit on their beats."""

    classical = "hum; hum lead, no stems; music; music, beats of drums"
    ours = "hum, the voice; hum lead=on; music-stems"
    columns = "12 dB; 6 dB; 0 dB; beats; majmin; key"
    note = (
        "Of a voice: F1 of MIDI numbers, by dB of the voice above its band; the voice is espeak-ng's by WORLD. Of a "
        "song: beats, majmin and key as `evaluate listen` has them, of its first minute by TimGM6mb."
    )
    folders = ("pop909", "sonicpi", *testset.DATA[1:])
    card = "antiphon_stems"
    road = "`antiphon run hum IN OUT.mid` and `antiphon library analyse FILE --only music-stems --json`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        count = ask.limit or SONGS
        clips = (clip for kind, clip in testset.annotated_clips(ask.data, ask.work, ask.seed, count) if kind == "sung")
        for place, clip in enumerate(islice(clips, count)):
            for ratio, mix in testset.with_bands(ask.work, clip, place):
                for name, run in ask.wanted(_HUM).items():
                    yield MetricValue(name, f"{ratio} dB", clip.name, f1(clip, run(mix.sound)), SUNG)
        for folder in songs(ask.data, TEST, count):
            song = with_drums(read_song(folder, ask.work, "TimGM6mb"), ask.data)
            for name, find in ask.wanted(_MUSIC).items():
                row = (one for one in figures(song, find(song.sound)) if one[0] in ("beats", "majmin", "key"))
                yield from scored(name, song.name, row, PLAYED)


def with_drums(song: ListenedSong, data: Path) -> ListenedSong:
    """The first minute of a song with a kit on its beats, at the rate of `stems`, and its truth."""
    rate, frames = material.RATE, round(SECONDS * material.RATE)
    played = resampled(song.sound, RATE, rate)[:frames]
    kick, snare, hat = (mono(data / "sonicpi" / f"{name}.flac", rate) for name in KIT)
    struck, ones, at = np.zeros(frames + 4 * rate, np.float32), set(song.downbeats), 0
    for beat, after in zip(song.beats[:-1], song.beats[1:], strict=True):
        at = 0 if beat in ones else at + 1
        for when, sound, level in (
            (beat, snare if at % 2 else kick, 1.0),
            (beat, hat, 0.5),
            ((beat + after) / 2, hat, 0.5),
        ):
            if (first := round(when * rate)) < frames:
                room = struck[first : first + len(sound)]
                room += level * sound[: len(room)]
    struck = struck[: len(played)]
    level = np.sqrt(np.mean(played**2) / np.mean(struck**2)) * 10 ** (DRUMS / 20)
    mix = played + np.float32(level) * struck
    end = len(mix) / rate
    return replace(
        song,
        sound=np.asarray(0.5 * mix / np.abs(mix).max(), np.float32),
        beats=song.beats[song.beats < end],
        downbeats=song.downbeats[song.downbeats < end],
        chords=tuple((a, min(b, end), label) for a, b, label in song.chords if a < end),
    )


def _notes(sound: F32, lead: bool = False) -> Found:
    song = run_to_notes("hum", sound, testset.RATE, {"lead": lead})
    return [(song.seconds(n.start), song.seconds(n.end), float(n.number)) for track in song.tracks for n in track.notes]


def _followed(sound: F32) -> Found:
    """What `lead` finds where nothing takes the voice out."""
    found = notes_of(sound, testset.RATE, {"lead": True})
    return [(n.start / testset.RATE, n.end / testset.RATE, float(n.number)) for n in found]


def _voice(sound: F32) -> Found:
    return _notes(run_as_it_comes(("stems", "--only", "voice"), sound, testset.RATE))


class _DrumBeats(StemMusicRun):
    """Beats by the onsets of the drums alone."""

    def feed(self, block: Samples) -> None:
        whole = block.sum(axis=0)
        self._frames += len(whole)
        self._peak = max(self._peak, float(np.abs(whole).max(initial=0.0)))
        self._onsets.feed(block[0])
        self._notes.feed(whole)
        self._rest.feed(whole - block[0])


def _beats_of_drums(sound: F32) -> MusicFound:
    _, blocks = separate_blocks([sound[None]], material.RATE, 1)
    run = _DrumBeats()
    run.feed(np.stack([resampled(one, material.RATE, onsets.RATE) for one in np.concatenate(list(blocks), 2)[:, 0]]))
    return found_in(run.result())


_MUSIC: Mapping[str, Callable[[F32], MusicFound]] = {
    "music": lambda sound: found_by("music", sound, material.RATE),
    "music, beats of drums": _beats_of_drums,
    "music-stems": lambda sound: found_by("music-stems", sound, material.RATE),
}
_HUM: Mapping[str, Callable[[F32], Found]] = {
    "hum": _notes,
    "hum lead, no stems": _followed,
    "hum, the voice": _voice,
    "hum lead=on": lambda sound: _notes(sound, lead=True),
}
