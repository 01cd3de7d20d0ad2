"""TouchOSC layout writer with py2tosc: pages of faders, buttons and radios, each with its OSC message.

A fader is 0 to 1; its message scales it linearly to the parameter's range. A range with a logarithmic warp is sent to
`/node/NAME/PARAM/norm`, which the server scales, and a one-function script shows the feedback. Another such script
shows words, which the server sends as text.
"""

import math
import uuid
import zlib
from collections.abc import Iterable
from typing import Any

import py2tosc
from py2tosc import ui
from py2tosc.control import Control as ToscControl
from py2tosc.enums import AlignH, ButtonType, ControlType, Conversion, Orientation, TriggerCondition
from py2tosc.messages import OscMessage, Partial, Value

from antiphon.layout.controls import BLACK, ROW, Page, Tab, Widget, tabs

WIDTH, HEIGHT = 1024, 600
"""Size of the layout in points; TouchOSC scales it to the screen, which on phones is wide and low."""
TAB_HEIGHT, TEXT = 64, 20
"""Sizes in points. A phone of 844 by 390 points shows them at 0.65: 42 points, a thumb's, and 13."""
COLUMNS = 6
GAP, CAPTION = 12, 0.1
"""Points between controls; fraction of a control's height for the caption."""
VELOCITY = 100
"""Velocity of a key of the keyboard."""
MAX_WORDS = 8
"""Maximum words of a choice shown as stacked buttons; more become a fader over the words."""
_SPACE = uuid.UUID("5a4d8d0e-5a4e-4f25-9d1c-0a6b6c1d7a11")
_SLATE, _IVORY, _RED = "#545e6e", "#e6e2d8", "#d94033"
Colour = tuple[float, float, float, float]
"""Red, green, blue and opacity, 0 to 1."""


def to_tosc(title: str, pages: Iterable[Page]) -> bytes:
    """Content of a `.tosc` file, deterministic. `title` is the patch's name."""
    document = layout(title, pages)
    return zlib.compress(document.dumps(validate=True).encode(), 9)


def layout(title: str, pages: Iterable[Page]) -> py2tosc.Document:
    """Makes a layout with positions for every control."""
    shown = [_tab(tab) for tab in tabs(pages)]
    root = ui.stack(_pager(shown, "pages"), frame=(0, 0, WIDTH, HEIGHT), name=_plain(title))
    document = py2tosc.Document(root=root)
    document.resolve()
    for number, widget in enumerate(document.walk()):
        # the library gives each a random one, and equal patches are to give equal files
        object.__setattr__(widget, "id", str(uuid.uuid5(_SPACE, f"{title} {number}")))
    return document


def _tab(tab: Tab) -> ToscControl:
    shown = [_keyboard(page) if page.keys else _page(page) for page in tab.pages]
    if len(shown) == 1:
        return shown[0]
    pager = _pager(shown, tab.name)
    return ui.stack(pager, name=tab.name, outline=False, tab_color_on=_parse_colour(tab.pages[0].colour))


def _pager(shown: list[ToscControl], name: str) -> ToscControl:
    return ui.pager(*shown, name=name, tabbar_size=TAB_HEIGHT, text_size_on=TEXT, text_size_off=TEXT)


def _page(page: Page) -> ToscControl:
    widgets = [_add_caption(page, control) for control in page.controls]
    rows = -(-len(widgets) // COLUMNS)
    columns = -(-len(widgets) // rows)
    return ui.tiles(widgets, columns=columns, rows=rows, gap=GAP, pad=GAP, name=page.name, outline=False,
                    tab_color_on=_parse_colour(page.colour))  # fmt: skip


def _add_caption(page: Page, control: Widget) -> ToscControl:
    unit = f" {control.param.unit}" if control.param is not None and control.param.unit else ""
    caption = _label(control.label + unit)
    return ui.column(
        _widget(control, _parse_colour(page.colour)),
        caption,
        sizes=(1.0 - CAPTION, CAPTION),
        name=f"{page.name} {control.label}",
        outline=False,
        background=False,
    )


def _widget(control: Widget, colour: Colour) -> ToscControl:
    param = control.param
    if param is None:
        arguments = [_constant(argument) for argument in control.arguments]
        press = ui.osc(control.address, args=arguments, on=TriggerCondition.RISE, receive=False)
        return _button(control.label, press, color=_parse_colour(_RED if control.label == "panic" else _SLATE))
    if control.kind == "switch":
        return _button(
            control.label,
            ui.osc(control.address),
            button_type=ButtonType.TOGGLE_PRESS,
            x=float(bool(control.value)),
            color=colour,
        )
    if control.kind == "xy":
        return _pad(control, colour)
    if control.kind == "choice" and len(param.choices) <= MAX_WORDS:
        return _radio(control, colour)
    return _fader(control, colour)


def _pad(control: Widget, colour: Colour) -> ToscControl:
    second, place = control.arguments
    values = [Value("x", default=round(float(control.value), 6)), Value("y", default=round(float(place), 6))]
    return ToscControl(
        ControlType.XY,
        name=control.label,
        values=[*values, Value("touch", default=False)],
        messages=[
            ui.osc(control.address, args=[ui.value("x")], var="x"),
            ui.osc(str(second), args=[ui.value("y")], var="y"),
        ],
        color=colour,
    )


def _fader(control: Widget, colour: Colour) -> ToscControl:
    param = control.param
    assert param is not None
    script = {}
    if param.warp == "log" or param.kind == "choice":
        message = ui.osc(f"{control.address}/norm", receive=False)
        if param.warp == "log":
            script = {"script": _logarithm(control.address, param.low, param.high)}
        else:
            script = {"script": _words(control.address, param.choices, max(1, len(param.choices) - 1))}
    else:
        conversion = Conversion.INTEGER if param.kind == "int" else Conversion.FLOAT
        message = ui.osc(control.address, args=[ui.value("x", conversion=conversion, scale=(param.low, param.high))])
    place = param.to_norm(param.check(control.value))
    return _control(ControlType.FADER, control.label, message, place, color=colour, **script)


def _radio(control: Widget, colour: Colour) -> ToscControl:
    """Stacked buttons, one for each word, with the words on them."""
    param = control.param
    assert param is not None
    message = ui.osc(control.address, args=[ui.value("x", conversion=Conversion.INTEGER)], receive=False)
    steps = max(2, len(param.choices))
    radio = _control(
        ControlType.RADIO,
        control.label,
        message,
        float(param.choices.index(str(control.value))),
        color=colour,
        steps=steps,
        orientation=Orientation.SOUTH,
        script=_words(control.address, param.choices, 1),
    )
    words = ui.column(*(_label(word) for word in param.choices), name="words", outline=False, background=False)
    return ui.stack(radio, words, name=control.label, outline=False, background=False)


def _keyboard(page: Page) -> ToscControl:
    """Keys, the highest row on top; each sends a note-on on press, and one of velocity 0 on release."""
    keys = []
    for note in page.keys:
        velocity = ui.value("x", conversion=Conversion.INTEGER, scale=(0, VELOCITY))
        message = ui.osc("/note/on", args=[_constant(note), velocity], receive=False)
        keys.append(_button(str(note), message, color=_parse_colour(_SLATE if note % 12 in BLACK else _IVORY)))
    rows = [ui.row(*keys[at : at + ROW], gap=GAP // 3, outline=False) for at in range(0, len(keys), ROW)]
    return ui.column(
        *reversed(rows), gap=GAP, pad=GAP, name=page.name, outline=False, tab_color_on=_parse_colour(page.colour)
    )


def _button(name: str, message: OscMessage, *, x: float = 0.0, **properties: Any) -> ToscControl:
    return _control(ControlType.BUTTON, name, message, x, **{"color": _parse_colour(_SLATE), **properties})


def _control(kind: ControlType, name: str, message: OscMessage, x: float, **properties: Any) -> ToscControl:
    values = [Value("x", default=round(x, 6)), Value("touch", default=False)]
    return ToscControl(kind, name=name, values=values, messages=[message], **properties)


def _plain(text: str) -> str:
    """Printable text without CDATA end markers, which the library does not escape."""
    return "".join(character for character in text if character.isprintable()).replace("]]>", "]] >")


def _label(text: str) -> ToscControl:
    text = _plain(text)
    values = [Value("text", default=text), Value("touch", default=False)]
    return ToscControl(
        ControlType.LABEL,
        name=text,
        values=values,
        background=False,
        outline=False,
        text_size=TEXT,
        text_align_h=AlignH.CENTER,
    )


def _constant(argument: float | int | str) -> Partial:
    kinds = {int: Conversion.INTEGER, float: Conversion.FLOAT, str: Conversion.STRING}
    return ui.const(str(argument), conversion=kinds[type(argument)])


def _parse_colour(colour: str) -> Colour:
    red, green, blue = (int(colour[at : at + 2], 16) / 255.0 for at in (1, 3, 5))
    return (round(red, 4), round(green, 4), round(blue, 4), 1.0)


def _words(address: str, words: tuple[str, ...], steps: int) -> str:
    """Lua function that shows a word by its index divided by `steps`."""
    listed = ", ".join("'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'" for word in words)
    return (
        f"local words = {{{listed}}}\n"
        "function onReceiveOSC(message, connections)\n"
        f"  if message[1] == '{address}' and message[2][1] then\n"
        "    for place, word in ipairs(words) do\n"
        "      if word == message[2][1].value then\n"
        f"        self.values.x = (place - 1) / {steps}\n"
        "      end\n"
        "    end\n"
        "  end\n"
        "end\n"
    )


def _logarithm(address: str, low: float, high: float) -> str:
    """Lua function that shows a value at its logarithmic position."""
    return (
        "function onReceiveOSC(message, connections)\n"
        f"  if message[1] == '{address}' and message[2][1] then\n"
        f"    self.values.x = math.log(message[2][1].value / {low!r}) / {math.log(high / low)!r}\n"
        "  end\n"
        "end\n"
    )
