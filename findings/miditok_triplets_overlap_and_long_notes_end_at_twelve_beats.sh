#!/usr/bin/env bash
# Package: miditok 3.1.0 (with symusic 0.6.0), REMI() with its own configuration.
# One would expect: music that is turned into tokens and back has its rhythm to some tolerance: three even notes in a
#   beat stay even, and none begins before the last has ended.
# What happens: there are eight places a beat and no thirds. Eighth triplets begin at 0, .375 and .625 of the beat
#   and last .375 each: the second ends after the third has begun. A note of twenty beats lasts twelve; a tempo of
#   150 comes back as 120.
# Why it matters: swing, blues and 12/8 are in the training data with another rhythm, in which each third note
#   sounds together with the next; what a model makes of it limps alike. beat_res, max duration and use_tempos are
#   options; the defaults say nothing of what they cannot hold.
# Source: measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check miditok==3.1.0 symusic==0.6.0 mido==1.3.3
cd "$folder"
venv/bin/python - <<'END'
import miditok
import mido
import symusic


def through(path, messages):
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack(messages))
    file.save(path)
    tokenizer = miditok.REMI()
    score = tokenizer.decode(tokenizer(symusic.Score(path)))
    beat = score.ticks_per_quarter
    notes = [(n.time / beat, n.duration / beat) for track in score.tracks for n in track.notes]
    return notes, [tempo.qpm for tempo in score.tempos]


def note(number, ticks):
    return [mido.Message("note_on", note=number, velocity=80), mido.Message("note_off", note=number, time=ticks)]


triplets, _ = through("triplets.mid", [m for k in range(3) for m in note(60 + k, 160)])
long, tempo = through("long.mid", [mido.MetaMessage("set_tempo", tempo=400000), *note(60, 20 * 480)])
print("triplets of a beat:", triplets, "| twenty beats:", long, "| a tempo of 150:", tempo)
assert triplets == [(0.0, 0.375), (0.375, 0.375), (0.625, 0.375)]
assert long == [(0.0, 12.0)] and tempo == [120.0]
END
