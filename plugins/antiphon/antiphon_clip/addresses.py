"""OSC addresses of clips."""

from antiphon.api.backends.transports import Double, OscRequest, PatchClip, RequestError, SetTransport
from antiphon_clip.launcher import BEAT_STEPS, MAX_BARS, launcher_of

_STATE = "s:name s:state d:beat f:beats i:place"


def _texts(request: OscRequest) -> list[str]:
    return [arg for arg in request.args if isinstance(arg, str)]


def _numbers(request: OscRequest) -> list[int | float]:
    return [arg for arg in request.args if isinstance(arg, int | float)]


def _record(request: OscRequest) -> list[SetTransport]:
    (name, *of), (bars, step) = _texts(request), (*_numbers(request), 0.0)[:2]
    if not 1 <= bars <= MAX_BARS:
        raise RequestError(f"a clip takes 1 to {MAX_BARS} bars, not {bars}")
    if step and not BEAT_STEPS[0] <= step <= BEAT_STEPS[1]:
        raise RequestError(f"a step takes {BEAT_STEPS[0]:g} to {BEAT_STEPS[1]:g} beats, or 0 for none, not {step:g}")
    return launcher_of(request).record(name, int(bars), step, tuple(of), request.reply)


def _play(request: OscRequest) -> list[SetTransport]:
    return launcher_of(request).play(*_texts(request))


def _stop(request: OscRequest) -> None:
    launcher_of(request).stop(*_texts(request))


def _put(request: OscRequest) -> None:
    (name, *events), (beats, place) = _texts(request), _numbers(request)
    launcher_of(request).put(name, PatchClip(float(beats), tuple(events), int(place)))
    request.reply("/done", "/clip/put", name)


def _delete(request: OscRequest) -> None:
    (name,) = _texts(request)
    launcher_of(request).delete(name)
    request.reply("/done", "/clip/delete", name)


def _get(request: OscRequest) -> None:
    (name,) = _texts(request)
    clip = launcher_of(request).clip(name)
    request.reply("/clip/get.reply", name, clip.beats, clip.place, *clip.events)


def _list(request: OscRequest) -> None:
    words = [
        word
        for name, (state, beat, beats, place) in launcher_of(request).states().items()
        for word in (name, state, Double(beat), float(beats), place)
    ]
    request.reply("/clip/list.reply", *words)


ADDRESSES = (
    ("/clip/record", "s:name i:bars [f:step] [s:of]…", _record,
     "Records what is played by hand (OSC, MIDI, the page) from the next bar line on, then plays it in a loop: notes, "
     "their beginnings quantised to `step` beats where that is above 0, with the word `knobs` values too; of the "
     "nodes that are named, else of all. Answers `/done /clip/record s:name i:events i:dropped` at its end, and "
     "`/remark` where no place of the grid is free."),
    ("/clip/play", "s:name", _play,
     "Plays a clip in a loop from the next bar line on, in place of one of its column; starts the transport."),
    ("/clip/stop", "[s:name]", _stop,
     "Ends a clip, or its recording, on the next bar line; without a name all."),
    ("/clip/delete", "s:name", _delete, "Deletes a clip; `/patch/undo` brings it back. Answers `/done`."),
    ("/clip/put", "s:name f:beats i:place [s:event]…", _put,
     "Stores a clip, which repeats after `beats` beats (0: plays once), at a place of the page's grid, or -1. An "
     "event is a text: its beat, then a message, `1.5 /note/on 60 100`; one that the patch cannot play is refused. "
     "Answers `/done`."),
    ("/clip/get", "s:name", _get, "Answers `/clip/get.reply s:name f:beats i:place s:event…`."),
    ("/clip/list", "", _list,
     f"Answers `/clip/list.reply`, {_STATE} of each clip. Subscribers are sent `/clip/state {_STATE}` when that or its "
     "events change: armed, recording, queued, playing, ending (at that beat), stopped or gone."),
)  # fmt: skip
