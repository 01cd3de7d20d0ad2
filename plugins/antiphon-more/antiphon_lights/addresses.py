"""OSC addresses of lights."""

from antiphon.api.backends.transports import OscRequest, RequestError
from antiphon_lights.sending import lights_of

MAX_BEATS = 256.0
MAX_FIXTURES, MAX_TOLD = 24, 8192
"""Maximum fixtures in an answer, and characters after which no further fixture is added."""


def _look(request: OscRequest) -> None:
    look, *beats = request.args
    assert isinstance(look, str)
    fade = next((float(number) for number in beats if isinstance(number, int | float)), None)
    if fade is not None and not 0.0 <= fade <= MAX_BEATS:
        raise RequestError(f"a fade takes 0 to {MAX_BEATS:g} beats, not {fade:g}")
    lights_of(request).show(look, fade)
    request.reply("/done", "/lights/look", look)


def _set_blackout(request: OscRequest) -> None:
    lights_of(request).blackout(bool(request.args[0]))


def _list(request: OscRequest) -> None:
    lights = lights_of(request)
    request.reply("/lights/list.reply", lights.desk.look, int(lights.desk.dark), *lights.desk.rig.looks)


def _shown(request: OscRequest) -> None:
    lights = lights_of(request)
    desk, frame = lights.desk, lights.frame(lights.clock(0.0)).tolist()
    first = next((number for number in request.args if isinstance(number, int)), 0)
    told: list[str | int] = []
    size = 0
    for name, (at, fixture) in list(desk.rig.fixtures.items())[max(0, first) :]:
        channels = " ".join(fixture.channels)
        values = " ".join(str(one) for one in frame[at : at + len(fixture.channels)])
        told += [name, fixture.universe, fixture.channel, channels, values]
        size += len(channels) + len(values)
        if size > MAX_TOLD or len(told) >= 5 * MAX_FIXTURES:
            break
    request.reply("/lights/shown.reply", desk.look, int(desk.dark), len(desk.rig.fixtures), *told)


ADDRESSES = (
    ("/lights/look", "s:name [f:beats]", _look,
     "Fades to a look of the patch, over `beats` beats, by default the `fade` of its table, and ends a blackout. "
     "Answers `/done`."),
    ("/lights/blackout", "i:on", _set_blackout,
     "Turns all lights dark at once, or with 0 on again. `/panic` turns them dark too; a look, a scene with a look "
     "and `/transport/play` turn them on."),
    ("/lights/list", "", _list, "Answers `/lights/list.reply s:look i:blackout s:look…`: the one shown, then all."),
    ("/lights/shown", "[i:first]", _shown,
     "Answers `/lights/shown.reply s:look i:blackout i:fixtures` and for each fixture `s:name i:universe i:channel "
     "s:channels s:values`, with names and values of 0 to 255 separated by spaces: 24 fixtures at most, from `first`."),
)  # fmt: skip
