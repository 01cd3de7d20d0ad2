"""Where in a bar the kinds of onsets are: `python -m antiphon_models.follow.fitting POP909 [FOLDER]`.

Counted in a third of the songs whose numbers end in 1 to 6, of the pianist alone and with the melody. A folder behind
it takes the table and the manifest, otherwise the one that ships.
"""

import argparse
from pathlib import Path

import numpy as np

from antiphon.api import F64
from antiphon.api.backends.models import models_folder, write_weights
from antiphon_follow.bars import BINS
from antiphon_follow.notes import GROUP_SECONDS, KINDS, MODEL, OnsetKinds
from antiphon_models.follow.songs import PlayedSong, performance

FIT = "123456"
DETAILS = {
    "plugin": "follow",
    "licence": "MIT",
    "trained_on": "the pianists and melodies of a third of POP909's songs whose numbers end in 1 to 6 (MIT)",
}


def counted(played: PlayedSong, counts: F64) -> None:
    """Adds the onsets of a performance to `counts[KINDS, 4 * BINS]`."""
    kinds, notes, first = OnsetKinds(), played.notes, 0
    firsts = np.flatnonzero(played.downs)
    while first < len(notes):
        last = first
        while last < len(notes) and notes[last, 0] - notes[first, 0] < GROUP_SECONDS:
            last += 1
        group = notes[first:last]
        kind = kinds(int(group[:, 1].min()), float(group[:, 2].max()), len(group))
        beat = int(np.searchsorted(played.beats, group[0, 0], "right")) - 1
        first = last
        if not 0 <= beat < len(played.beats) - 1 or beat < firsts[0]:
            continue
        place = beat - int(firsts[np.searchsorted(firsts, beat, "right") - 1])
        if place < 4:
            within = (group[0, 0] - played.beats[beat]) / (played.beats[beat + 1] - played.beats[beat])
            counts[kind, round((place + within) * BINS) % (4 * BINS)] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=models_folder())
    given = parser.parse_args()
    counts = np.zeros((KINDS, 4 * BINS))
    for folder in [f for f in sorted(given.songs.iterdir()) if f.is_dir() and f.name[-1] in FIT][::3]:
        for parts in (("PIANO",), ("PIANO", "MELODY")):
            played = performance(folder, parts)
            if len(played.notes) >= 50 and played.downs.sum() >= 8:
                counted(played, counts)
    arrays = {"counts": counts.astype(np.float32)}
    write_weights(MODEL, arrays, given.folder, {**DETAILS, "parameters": counts.size})


if __name__ == "__main__":
    main()
