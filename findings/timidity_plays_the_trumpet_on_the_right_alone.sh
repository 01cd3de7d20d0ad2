#!/usr/bin/env bash
# Programs: timidity 2.14.0 with fluid-soundfont-gm 3.1 of Debian 12 as they install each other
#   (/etc/timidity/fluidr3_gm.cfg); fluidsynth 2.3.1 beside it. mido 1.3.3, soundfile 0.14.0 and numpy 2.4.6 (PyPI).
# One would expect: an instrument whose channel stands in the middle (controller 10 at 64, or never set) is as loud on
#   the left as on the right, as fluidsynth plays it from the same soundfont.
# What happens: every melodic line of that configuration says pan=0, by timidity.cfg(5) the middle. With it the trumpet is
#   on the right alone (the left at least 30 dB lower), flute and square lead some 7 dB louder there. The same line without
#   pan=0 plays all three in the middle.
# Why it matters: a song that is rendered by `timidity -Ow` as installed leans to the right, and a left channel taken as
#   mono has no brass.
# Source: timidity.cfg(5), "pan=panning"; measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
command -v timidity fluidsynth >/dev/null || { echo "needs timidity, fluidsynth and fluid-soundfont-gm"; exit 2; }
dpkg-query -W timidity fluidsynth fluid-soundfont-gm
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mido==1.3.3 soundfile==0.14.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'END'
import subprocess

import mido
import numpy as np
import soundfile

FONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
DRY = ["-EFreverb=0", "-EFchorus=0", "-EFdelay=0"]
PROGRAMS = {"flute": 73, "trumpet": 56, "square lead": 80}


def lean(*command):
    """Decibels by which the right channel is louder."""
    subprocess.run(command, check=True, capture_output=True)
    sound, _ = soundfile.read("out.wav")
    left, right = np.sqrt(np.mean(sound**2, axis=0)) + 1e-6
    return 20 * np.log10(right / left)


def song(program):
    file = mido.MidiFile()
    file.tracks.append(
        mido.MidiTrack(
            [
                mido.Message("program_change", program=program),
                mido.Message("control_change", control=10, value=64),
                mido.Message("note_on", note=60, velocity=100),
                mido.Message("note_off", note=60, time=960),
            ]
        )
    )
    file.save("song.mid")


with open("without.cfg", "w") as config:
    config.write("bank 0\n" + "".join(f'{number} %font "{FONT}" 0 {number}\n' for number in PROGRAMS.values()))
for name, number in PROGRAMS.items():
    song(number)
    installed = lean("timidity", "-Ow", *DRY, "-o", "out.wav", "song.mid")
    without = lean("timidity", "-c", "without.cfg", "-Ow", *DRY, "-o", "out.wav", "song.mid")
    fluid = lean("fluidsynth", "-niq", "-R", "0", "-C", "0", "-F", "out.wav", FONT, "song.mid")
    print(f"{name:12} right of left: as installed {installed:5.1f}, without pan=0 {without:4.1f}, fluidsynth {fluid:4.1f} dB")
    assert abs(without) < 1 and abs(fluid) < 1
    assert installed > (30 if name == "trumpet" else 5)
END
