"""Material process of a live `loops` node, started and asked by `live`.

It reports the number of loops, and answers requests with arrangements and the tracks' float32 samples.
"""

from pathlib import Path

from antiphon.api import AntiphonError
from antiphon.api.backends.runtime import HelperChannel
from antiphon_loops.arrangement.live import plan_to, request_from
from antiphon_loops.arrangement.maker import MaterialMaker
from antiphon_loops.library import ready


def main(channel: HelperChannel, place: str, rate: str) -> None:
    """Answers requests for a folder's loops until its input ends."""
    folder = Path(place)
    try:
        loops, rules = ready(folder, lambda done, of, _name: channel.send({"loops": done, "of": of}))
    except AntiphonError as error:
        channel.send({"problem": str(error)})
        return
    maker = MaterialMaker(folder, loops, rules, int(rate))
    channel.send({"loops": len(loops)})
    for asked in channel.requests():
        try:
            material = maker.make(request_from(asked))
        except AntiphonError as error:
            channel.send({"problem": str(error)})
            continue
        tracks = [[t.frames, t.bars, t.sound.shape[1]] for t in material.tracks]
        sounds = (track.sound for track in material.tracks)
        channel.send({"plan": plan_to(material.plan), "gain": material.gain, "tracks": tracks}, *sounds)
