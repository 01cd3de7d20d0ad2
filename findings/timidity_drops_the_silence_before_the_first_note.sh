#!/usr/bin/env bash
# Programs: timidity 2.14.0 (Debian 12) and fluidsynth 2.3.1; mido 1.3.3, soundfile 0.14.0 and numpy 2.4.6 (PyPI).
# One would expect: a MIDI file rendered to sound begins where the file begins: a first note on the second beat of
#   120 a minute is heard half a second into the recording.
# What happens: timidity -Ow begins at the first note, whenever that is; every note of the recording is early by the
#   rests before it. `--preserve-silence` keeps them (in the manual, off by default). fluidsynth keeps them always.
# Why it matters: a corpus of MIDI files with their recordings, or a stem for each track, made by timidity is aligned
#   where all begin at beat one and wrong by up to bars elsewhere: tracks that enter later play together at the start.
# Source: timidity(1); measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
command -v timidity fluidsynth >/dev/null || { echo "needs timidity, fluidsynth and fluid-soundfont-gm"; exit 2; }
dpkg-query -W timidity fluidsynth
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mido==1.3.3 soundfile==0.14.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'END'
import subprocess

import mido
import numpy as np
import soundfile

FONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"


def onset(*command):
    """Seconds before the recording is louder than -50 dBFS."""
    subprocess.run(command, check=True, capture_output=True)
    sound, rate = soundfile.read("out.wav", always_2d=True)
    return float(np.argmax(np.abs(sound).max(axis=1) > 0.003)) / rate


for beats in (0, 1, 7):
    file = mido.MidiFile(ticks_per_beat=480)
    note = [mido.Message("note_on", note=60, time=480 * beats), mido.Message("note_off", note=60, time=480)]
    file.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000), *note]))
    file.save("song.mid")
    plain = onset("timidity", "-Ow", "-o", "out.wav", "song.mid")
    kept = onset("timidity", "--preserve-silence", "-Ow", "-o", "out.wav", "song.mid")
    fluid = onset("fluidsynth", "-niq", "-F", "out.wav", FONT, "song.mid")
    print(f"note at {beats / 2:.1f} s: timidity {plain:.3f}, with --preserve-silence {kept:.3f}, fluidsynth {fluid:.3f} s")
    assert abs(kept - beats / 2) < 0.03 and abs(fluid - beats / 2) < 0.03
    assert plain < 0.03
END
