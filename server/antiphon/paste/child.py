"""The process that translates, asked and answered by `translation`.

A program may be hostile, and its parser is one of Python, so it runs here: little memory and processor time, no files.
A request has `text`, and the sources of `packs` in the library; its answer `text`, the script, with the numbers of its
`tracks` and of the parts `left_out`, or `refused`, the reason.
"""

import ast
import builtins
from collections.abc import Iterable, Set

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.processes.helper_channel import HelperChannel
from antiphon.paste import strudel, tidal
from antiphon.paste.script import Script, pack_key
from antiphon.paste.trial import leave_out_unplayable
from antiphon.paste.words import FUNCTIONS

PLAIN = frozenset({
    "abs", "bool", "dict", "enumerate", "float", "int", "isinstance", "len", "list", "map", "max", "min", "round",
    "str",
})  # fmt: skip
"""Python functions allowed in translated programs."""
_MODULES = frozenset({"math", "antiphon.live"})


def translated(text: str, packs: Iterable[str] = ()) -> tuple[str, Script]:
    """Live script of a program, as text and builder. Raises UsageError: it is of neither language, or nothing plays."""
    script = Script(packs=frozenset(map(pack_key, packs)))
    if tidal.is_tidal(text):
        tidal.translate(text, script)
    else:
        strudel.translate(text, script)
    made = leave_out_unplayable(script, unwanted) if script.tracks else ""
    if not script.tracks:
        reason = f"; {script.left_out[0].removeprefix('# ').rstrip(':')}" if script.left_out else ""
        raise UsageError(f'nothing in it plays{reason}; a program has lines such as $: s("bd*4") or d1 $ s "bd*4"')
    return made, script


def unwanted(text: str, lost: Set[str] = frozenset()) -> list[tuple[int, str]]:
    """Lines of a script that would do anything but play, each with the reason; `lost`: its names that are left out.

    They read a name that is neither the script's own nor one of patterns, or an attribute of Python's own. Raises
    UsageError: it is no Python.
    """
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError("the translation is no script that can be read; write it by hand") from None
    made = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    made |= lost | {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    made |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    known = PLAIN | FUNCTIONS | {"math"} | (made - set(dir(builtins)))
    found = []
    for node in nodes:
        match node:
            case ast.Name(id=name) if name not in known or name.startswith("__"):
                found.append((node.lineno, f"the translation would use {name}, which no pattern needs"))
            case ast.Attribute(attr=name) if name.startswith("_"):
                found.append((node.lineno, f"the translation would use .{name}, which no pattern needs"))
            case ast.Import(names=names) if any(one.name not in _MODULES for one in names):
                found.append((node.lineno, "the translation would import a module"))
            case ast.ImportFrom(module=module) if module not in _MODULES:
                found.append((node.lineno, "the translation would import a module"))
    return found


def main(channel: HelperChannel) -> None:
    """Answers one request."""
    request = next(channel.requests())
    try:
        made, script = translated(str(request["text"]), request["packs"])
        channel.send({"text": made, "tracks": len(script.tracks), "left_out": len(script.left_out)})
    except UsageError as error:
        channel.send({"refused": str(error)})
