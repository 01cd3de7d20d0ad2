"""The process of a live `loops` node that prepares material.

`python -m antiphon_loops.arrangement.child FOLDER RATE`

A request is a line of JSON; an answer is a length (u32, little-endian), a JSON header and the tracks' float32 samples.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO


def main() -> None:
    from antiphon.api import AntiphonError
    from antiphon_loops.arrangement.live import plan_to, request_from
    from antiphon_loops.arrangement.maker import MaterialMaker
    from antiphon_loops.library import ready

    os.nice(5)
    # keeps what libraries print out of the answers
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    folder, rate = Path(sys.argv[1]), int(sys.argv[2])
    try:
        loops, rules = ready(folder, lambda done, of, _name: _send(out, {"loops": done, "of": of}))
    except AntiphonError as error:
        _send(out, {"problem": str(error)})
        return
    maker = MaterialMaker(folder, loops, rules, rate)
    _send(out, {"loops": len(loops)})
    for line in sys.stdin.buffer:
        try:
            material = maker.make(request_from(json.loads(line)))
        except AntiphonError as error:
            _send(out, {"problem": str(error)})
            continue
        tracks = [[t.frames, t.bars, t.sound.shape[1]] for t in material.tracks]
        _send(out, {"plan": plan_to(material.plan), "gain": material.gain, "tracks": tracks})
        for track in material.tracks:
            out.write(track.sound.tobytes())
        out.flush()


def _send(out: BinaryIO, what: dict[str, Any]) -> None:
    data = json.dumps(what).encode()
    out.write(struct.pack("<I", len(data)) + data)
    out.flush()


if __name__ == "__main__":
    main()
