"""The process beside a live `loops` node: requests in, material out.

`python -m antiphon_loops.arrangement.child FOLDER RATE`

Each request is a line of JSON; each answer a length, a JSON head and the tracks' samples as they lie.
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
    # what libraries print must not come between
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    folder, rate = Path(sys.argv[1]), int(sys.argv[2])
    try:
        loops, rules = ready(folder, lambda done, of, _name: _say(out, {"loops": done, "of": of}))
    except AntiphonError as error:
        _say(out, {"problem": str(error)})
        return
    maker = MaterialMaker(folder, loops, rules, rate)
    _say(out, {"loops": len(loops)})
    for line in sys.stdin.buffer:
        try:
            material = maker.make(request_from(json.loads(line)))
        except AntiphonError as error:
            _say(out, {"problem": str(error)})
            continue
        tracks = [[t.frames, t.bars, t.sound.shape[1]] for t in material.tracks]
        _say(out, {"plan": plan_to(material.plan), "gain": material.gain, "tracks": tracks})
        for track in material.tracks:
            out.write(track.sound.tobytes())
        out.flush()


def _say(out: BinaryIO, what: dict[str, Any]) -> None:
    data = json.dumps(what).encode()
    out.write(struct.pack("<I", len(data)) + data)
    out.flush()


if __name__ == "__main__":
    main()
