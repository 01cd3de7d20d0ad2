"""A program of Strudel or Tidal, told apart and translated."""

from __future__ import annotations

from antiphon.kernel.errors import UsageError
from antiphon.paste import safe, strudel, tidal
from antiphon.paste.script import Script


def translated(text: str) -> Script:
    """The live script of a program.

    Raises:
        UsageError: It is of neither language, or nothing in it plays.
    """
    script = Script()
    if tidal.is_tidal(text):
        tidal.translate(text, script)
    else:
        strudel.translate(text, script)
    if not script.tracks:
        reason = f"; {script.left_out[0].removeprefix('# ').rstrip(':')}" if script.left_out else ""
        raise UsageError(f'nothing in it plays{reason}; a program has lines such as $: s("bd*4") or d1 $ s "bd*4"')
    safe.check(script.text())
    return script
