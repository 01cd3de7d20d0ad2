#!/usr/bin/env bash
# Packages: pretty_midi 0.2.11.post0, miditoolkit 1.0.1, symusic 0.6.0 (PyPI); mido 1.3.3 reads the files.
# One would expect: an orchestra of twenty instruments, written as MIDI, is played by twenty; or the writer says that
#   a file has sixteen channels, or uses ports.
# What happens: channels are counted round: the sixteenth instrument is written on channel 1, with a program change at
#   the same tick as the first one's, and so on. In a player of one port the later one wins, so that flute and strings
#   play by one program, volume and bend. The three libraries read such a file back as twenty, by tracks, so that a
#   round trip looks right; nothing is said.
# Why it matters: scores for orchestra and data sets of many parts are heard with the wrong instruments.
# Source: measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pretty_midi==0.2.11.post0 miditoolkit==1.0.1 symusic==0.6.0 mido==1.3.3 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'END'
import mido
import miditoolkit
import pretty_midi
import symusic

COUNT = 20
one = pretty_midi.PrettyMIDI()
for number in range(COUNT):
    one.instruments.append(pretty_midi.Instrument(number))
    one.instruments[-1].notes = [pretty_midi.Note(80, 60, number, number + 1)]
one.write("pretty_midi.mid")
two = miditoolkit.MidiFile()
for number in range(COUNT):
    two.instruments.append(miditoolkit.Instrument(number))
    two.instruments[-1].notes = [miditoolkit.Note(80, 60, 480 * number, 480 * number + 480)]
two.dump("miditoolkit.mid")
symusic.Score("pretty_midi.mid").dump_midi("symusic.mid")
for name in ("pretty_midi", "miditoolkit", "symusic"):
    messages = [m for track in mido.MidiFile(f"{name}.mid").tracks for m in track if m.type == "program_change"]
    programs = {}
    for message in messages:
        programs.setdefault(message.channel + 1, []).append(message.program)
    print(name, "programs of channel 1:", programs[1], "of channel 5:", programs[5])
    assert len(messages) == COUNT and programs[1] == [0, 15] and 10 not in programs
again = [instrument.program for instrument in pretty_midi.PrettyMIDI("pretty_midi.mid").instruments]
print("read back:", again)
assert again == list(range(COUNT))
END
