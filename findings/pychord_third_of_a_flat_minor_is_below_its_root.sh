#!/usr/bin/env bash
# Package: pychord 1.4.1 (PyPI), Chord.components_with_pitch; pretty_midi 0.2.11.post0 turns names into numbers.
# One would expect: the notes of a chord in root position, with octaves, rise from the root within one octave: Abm from
#   octave 4 is A flat 4, C flat 5, E flat 5, keys 68, 71, 75.
# What happens: it is Ab4, Cb4, Eb5: the third is key 59, nine semitones below the root. The octave is counted by key
#   classes, and C flat is the class of B. Cb begins at 59 and goes on at 75, F diminished has its fifth below. Chords of
#   the same sounds in sharps (G#m) are close and right.
# Why it matters: pieces in flats (E flat minor, G flat) jump by an octave within a chord where they are played by this.
# Source: measured; scientific pitch names, in which the octave belongs to the letter.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pychord==1.4.1 pretty_midi==0.2.11.post0 setuptools==80.9.0
cat >run.py <<'END'
import pretty_midi
import pychord


def keys(name):
    notes = pychord.Chord(name).components_with_pitch(4)
    print(name, notes, numbers := [pretty_midi.note_name_to_number(note) for note in notes])
    return numbers


flats, sharps, c_flat = keys("Abm"), keys("G#m"), keys("Cb")
raise SystemExit(not (flats == [68, 59, 75] and sharps == [68, 71, 75] and c_flat == [59, 75, 78]))
END
env/bin/python run.py
