"""OSC addresses of lights."""

from antiphon.api.backends.transports import OscRequest, RequestError
from antiphon_lights.sending import lights_of

MAX_BEATS = 256.0


def _look(request: OscRequest) -> None:
    look, *beats = request.args
    assert isinstance(look, str)
    fade = next((float(number) for number in beats if isinstance(number, int | float)), None)
    if fade is not None and not 0.0 <= fade <= MAX_BEATS:
        raise RequestError(f"a fade takes 0 to {MAX_BEATS:g} beats, not {fade:g}")
    lights_of(request).show(look, fade)
    request.reply("/done", "/lights/look", look)


def _blackout(request: OscRequest) -> None:
    lights_of(request).blackout(bool(request.args[0]))


def _list(request: OscRequest) -> None:
    lights = lights_of(request)
    request.reply("/lights/list.reply", lights.desk.look, int(lights.desk.dark), *lights.desk.rig.looks)


def _fixtures(request: OscRequest) -> None:
    lights = lights_of(request)
    frame = lights.desk.frame(lights.clock(0.0)).tolist()
    for name, (first, fixture) in lights.desk.rig.fixtures.items():
        values = frame[first : first + len(fixture.channels)]
        words = [word for pair in zip(fixture.channels, values, strict=True) for word in pair]
        request.reply("/lights/fixture", name, fixture.universe, fixture.channel, *words)
    request.reply("/done", "/lights/fixtures", len(lights.desk.rig.fixtures))


ADDRESSES = (
    ("/lights/look", "s:name [f:beats]", _look,
     "Fades to a look of the patch, over `beats` beats, by default the `fade` of its table, and ends a blackout. "
     "Answers `/done`."),
    ("/lights/blackout", "i:on", _blackout,
     "Turns all lights dark at once, or with 0 on again. `/panic` does the first; a look, a scene that carries one and "
     "`/transport/play` do the second."),
    ("/lights/list", "", _list, "Answers `/lights/list.reply s:look i:blackout s:look…`: the one shown, then all."),
    ("/lights/fixtures", "", _fixtures,
     "Answers `/lights/fixture s:name i:universe i:channel` and pairs of `s:channel i:value` of 0 to 255 for each "
     "fixture, then `/done`."),
)  # fmt: skip
