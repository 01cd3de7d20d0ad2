#!/usr/bin/env bash
# Package: muspy 0.5.0 (PyPI), groove_consistency.
# One would expect: bars with one rhythm have a groove consistency of 1, and it falls as bars differ.
# What happens: a piece whose last note ends at a bar line gets one more bar, an empty one, that is compared with the
#   last: two equal bars of sixteenths come to .917, two bars that share nothing but the downbeat to .969. Ended
#   a little before the bar line, equal bars are 1. It is counted per cell of the grid too: sparse music is always near 1.
# Why it matters: generators are compared by it; loops of whole bars, which is what they make, lose most where they are
#   short and busy, and a file that was quantised is worse than before.
# Source: measured; Wu and Yang, ISMIR 2020, which the function names, compares the bars that there are.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet muspy==0.5.0
cat >run.py <<'END'
import muspy


def consistency(bars, length):
    notes = [muspy.Note(96 * bar + onset, 60, length, 80) for bar, onsets in enumerate(bars) for onset in onsets]
    return muspy.groove_consistency(muspy.Music(resolution=24, tracks=[muspy.Track(notes=notes)]), 96)


sixteenths = list(range(0, 96, 6))
whole = consistency([sixteenths] * 2, 6)
shorter = consistency([sixteenths] * 2, 5)
different = consistency([[0, 30], [0, 40, 66]], 6)
print(f"equal bars to the bar line {whole:.3f}, a tick shorter {shorter:.3f}; different bars {different:.3f}")
raise SystemExit(not (whole < 0.95 < different and shorter == 1))
END
env/bin/python run.py
