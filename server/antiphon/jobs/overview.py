"""File overview for lists: its length and its waveform, in a few numbers.

`python -m antiphon.jobs.overview PATH` prints them as JSON. With `--header` appended it reads only the beginning of the
file, and prints nothing. It runs as a separate process, since the web process loads neither numpy nor decoders.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

from antiphon.kernel.errors import AntiphonError, FileError

HEADER = "--header"
POINTS = 240
"""Points of a waveform, each the maximum absolute sample of its share of the file."""
_STEP = 1024
"""Frames of a point while the file is read, before the reduction to `POINTS`."""


def overview(path: Path) -> dict[str, Any]:
    """Overview of a sound or MIDI file.

    seconds; rate (Hz) and channels, both 0 for MIDI; peaks, 0 to 1, at most `POINTS`, empty for MIDI; notes, the number
    of notes in a MIDI file.
    """
    from antiphon.files.scores.midi_suffixes import is_midi
    from antiphon.offline.note_file import read

    if is_midi(path):
        score = read(path, 48000)
        notes = sum(event.kind == "on" for _, event in score.events)
        return {"seconds": score.frames / 48000, "rate": 0, "channels": 0, "peaks": [], "notes": notes}
    return {**_sound(path), "notes": 0}


def check_header(path: Path) -> None:
    """Raises `FileError` if a sound's header, or a MIDI file, is unreadable or empty; no sound is decoded."""
    from antiphon.files.scores.midi_suffixes import is_midi
    from antiphon.offline.note_file import read

    if is_midi(path):
        read(path, 48000)
        return
    from antiphon.files.decode import Decoder

    with Decoder(path) as decoder:
        if decoder.frames == 0:
            raise FileError(f"{decoder.name} holds no sound (0 frames)")


def _sound(path: Path) -> dict[str, Any]:
    import numpy as np

    from antiphon.files.audiofile import stream

    peaks: list[float] = []
    frames, peak, filled = 0, 0.0, 0
    with stream(path) as (info, blocks):
        for block in blocks:
            level = np.nan_to_num(np.abs(block).max(axis=0), posinf=1.0)
            at = 0
            while at < level.size:
                n = min(level.size - at, _STEP - filled)
                peak, filled, at = max(peak, float(level[at : at + n].max())), filled + n, at + n
                if filled == _STEP:
                    peaks.append(peak)
                    peak, filled = 0.0, 0
            frames += level.size
        if filled:
            peaks.append(peak)
    each = max(1, math.ceil(len(peaks) / POINTS))
    gathered = [round(min(1.0, max(peaks[n : n + each])), 3) for n in range(0, len(peaks), each)]
    return {"seconds": frames / info.rate, "rate": info.rate, "channels": info.channels, "peaks": gathered}


def main() -> int:
    """Prints the overview of the named file, or the reason for none."""
    try:
        if HEADER in sys.argv[2:]:
            check_header(Path(sys.argv[1]))
        else:
            print(json.dumps(overview(Path(sys.argv[1]))))
    except AntiphonError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
