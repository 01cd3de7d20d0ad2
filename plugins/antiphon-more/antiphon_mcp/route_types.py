"""Types of the co-performer's operations: they define validation and the OpenAPI document; applies changes to text."""

import ast
import re
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from antiphon.api.backends.http import Refusal, TokenLevel, record
from antiphon.api.backends.runtime import Request
from antiphon.web.api.types import maybe
from antiphon.web.messages import MAX_SCRIPT_BYTES
from antiphon_mcp.desk import SCENE, Message

OWNER = TokenLevel.OWNER
MAX_EDITS, MAX_VALUES, MAX_SCENE, MAX_QUANTUM = 256, 128, 127, 4096
MAX_LINE = 400
_NODE = re.compile(r"[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_]{1,64}")
Value = float | bool | Annotated[str, Meta(max_length=1000)]


class Edit(Request):
    """Replaces lines `first` to `last` of the current script; `last` = `first` - 1 inserts before `first`."""

    first: Annotated[int, Meta(ge=1, le=MAX_SCRIPT_BYTES)]
    last: Annotated[int, Meta(ge=0, le=MAX_SCRIPT_BYTES)]
    text: Annotated[str, Meta(max_length=MAX_SCRIPT_BYTES)]


class ProposeBody(Request):
    """A change: exactly one of `script`, `lines`, `params` and `scene`."""

    script: Annotated[str, Meta(max_length=MAX_SCRIPT_BYTES, description="The whole script.")] | UnsetType = UNSET
    lines: Annotated[list[Edit], Meta(min_length=1, max_length=MAX_EDITS)] | UnsetType = UNSET
    params: Annotated[dict[str, Value], Meta(min_length=1, max_length=MAX_VALUES)] | UnsetType = UNSET
    scene: Annotated[int, Meta(ge=0, le=MAX_SCENE)] | UnsetType = UNSET
    bars: Annotated[int, Meta(ge=2, le=16, description="Bars that are rehearsed.")] = 4
    trusted: Annotated[bool, Meta(description="The performer allows what is not music (`--trust`).")] = False
    own: Annotated[bool, Meta(description="The performer's own script: it is judged, and lands by Run alone.")] = False


class LandBody(Request):
    """Body of a landing: proposal and time."""

    id: Annotated[str, Meta(max_length=40)]
    quantum: Annotated[float, Meta(ge=0, le=MAX_QUANTUM, description="Beats; 0 for the script's bars.")] = 0.0
    trusted: Annotated[bool, Meta(description="Also what the rehearsal speaks against (`--trust`).")] = False


class SayBody(Request):
    """Body with a line to show."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_LINE)]


class HearBody(Request):
    """Body with the node to analyse, and the number of bars."""

    node: Annotated[str, Meta(max_length=64, description="A node, `in`, `out` or `out.cue`.")] = "out"
    bars: Annotated[int, Meta(ge=1, le=16)] = 4


Proposed = record(
    "Proposed",
    id=str,
    state=str,
    ok=bool,
    why=list[str],
    figures=dict[str, Any],
    bars=int,
    diff=str,
)
Coperformer = record("Coperformer", mode=str, locked=list[str], waiting=Proposed | None, landed=int)
Said = record("Said", said=str)
Heard = record(
    "HeardSound",
    node=str,
    beats=int,
    seconds=float,
    loudness=float,
    peak=float,
    bands=dict[str, float],
    onsets=list[float],
    key=str | None,
    chords=list[tuple[float, float, str]],
    tempo=float | None,
    notes=list[tuple[float, float, int, float]],
    music=str,
    picture=maybe(str),
)


def change_of(body: ProposeBody, base: str) -> tuple[str, tuple[Message, ...]]:
    """The changed script, "" if it stays the same, and the messages sent at the change.

    `base`: the current script. Raises Refusal: there is not exactly one change, or it is invalid.
    """
    given = [one for one in (body.script, body.lines, body.params, body.scene) if one is not UNSET]
    if len(given) != 1:
        raise Refusal(400, "a proposal has exactly one of script, lines, params and scene")
    if body.script is not UNSET:
        text = body.script
    elif not base:
        raise Refusal(409, "nothing plays that could be changed; propose a script")
    elif body.lines is not UNSET:
        text = replace_lines(base, body.lines)
    elif body.params is not UNSET:
        return "", tuple((_address(name), (value,)) for name, value in body.params.items())
    else:
        return "", ((SCENE, (body.scene,)),)
    if not text.strip():
        raise Refusal(422, "a script without a line is no change; propose hush() to end what plays")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Refusal(400, "a script is text that UTF-8 can hold") from None
    if size > MAX_SCRIPT_BYTES:
        raise Refusal(413, f"a script on the page has at most {MAX_SCRIPT_BYTES:,} bytes, not {size:,}")
    return text, ()


def replace_lines(base: str, edits: list[Edit]) -> str:
    """Returns the text with its lines replaced. Raises Refusal: the lines do not exist, or two edits overlap."""
    lines = base.split("\n")
    end = len(lines) + 1
    for edit in sorted(edits, key=lambda one: (one.first, one.last), reverse=True):
        if not edit.first - 1 <= edit.last <= len(lines):
            raise Refusal(422, f"lines {edit.first} to {edit.last}: the script has lines 1 to {len(lines)}")
        if edit.last >= end:
            raise Refusal(422, f"two changes of line {edit.last} overlap")
        end = edit.first
        lines[edit.first - 1 : edit.last] = edit.text.removesuffix("\n").split("\n") if edit.text else []
    return "\n".join(lines)


def patch_of(text: str) -> str:
    """Patch named by a script, as far as static analysis can tell; "" otherwise."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Name("patch"), [ast.Constant(str(name))]):
                return name
    return ""


def _address(name: str) -> str:
    if not _NODE.fullmatch(name):
        raise Refusal(422, f"{name[:60]!r} is no parameter; write NODE.PARAMETER, or macro.NAME")
    node, _, param = name.partition(".")
    return f"/macro/{param}" if node == "macro" else f"/node/{node}/{param}"
