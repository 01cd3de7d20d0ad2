#!/usr/bin/env bash
# Package: pypianoroll 1.0.4, pypianoroll.read (with pretty_midi 0.2.11.post0).
# One would expect: sixteen quarter notes of a scale, at one tempo and without a time signature, as many exports and
#   transcribers write them, are a piano roll of sixteen beats.
# What happens: the roll has six: reading begins at a first beat that is *guessed* from the notes, here the eleventh,
#   and what lies more than a beat before it is dropped without a word. Of eight notes nothing is left and IndexError
#   is raised. algorithm="custom" with first_beat_time=0 keeps all sixteen.
# Why it matters: data sets of piano rolls made in one loop lack the beginnings of the pieces whose files name no
#   meter, and only of these.
# Source: the page of read says that the first beat is estimated; what is lost is measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pypianoroll==1.0.4 pretty_midi==0.2.11.post0 mido==1.3.3 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'END'
import mido
import numpy as np
import pypianoroll


def scale(path, count):
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500000)]))
    for number in range(count):
        file.tracks[0].append(mido.Message("note_on", note=60 + number, velocity=80))
        file.tracks[0].append(mido.Message("note_off", note=60 + number, time=480))
    file.save(path)
    return path


def pitches(roll):
    track = roll.tracks[0].pianoroll
    return [int(np.argmax(track[step])) for step in range(0, len(track), roll.resolution)]


plain = pitches(pypianoroll.read(scale("plain.mid", 16)))
other = pitches(pypianoroll.read("plain.mid", algorithm="custom", first_beat_time=0))
print("by default:", plain, "| from 0:", other)
assert plain == list(range(70, 76)) and other == list(range(60, 76))
try:
    pypianoroll.read(scale("short.mid", 8))
except IndexError as error:
    print("eight notes:", error)
else:
    raise SystemExit("eight notes were read")
END
