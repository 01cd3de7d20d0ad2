"""Describes script errors by one sentence with file and line."""

import builtins
import inspect
import keyword
import os
import re
import time
import traceback
from collections.abc import Iterable
from typing import SupportsIndex

from antiphon import live
from antiphon.kernel.errors import AntiphonError, UsageError
from antiphon.kernel.runtime.suggestion import nearest, suggest
from antiphon.live.patterns.controls import ControlPattern
from antiphon.live.patterns.mini_parser import MiniError
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.words.table import UNSUPPORTED_WORDS, WORDS, Change, TableWord
from antiphon.live.records import ScriptError, ScriptTooLong
from antiphon.live.stage import LiveScript, performing
from antiphon.live.vocabulary import LiveNode

_TIDAL_TRACK = re.compile(r"d1?\d")
_TRACK = 'track("beat", s("bd*4"))'
_PYTHON = "|".join(keyword.kwlist)
_PASTE = "; antiphon paste FILE translates whole programs"
_SYNTAX: tuple[tuple[str, str], ...] = (
    (r"[“”„‘’].*invalid character", "curly quotes are no quotes of a program; write {straight}"),
    (r"^\s*_?\$\s*:\s*(?P<rest>.*?);?\s*$", '$: is of Strudel; write track("1", {rest})' + _PASTE),
    (
        r"^\s*(?P<name>d\d{1,2})\s*\$\s*(?P<rest>.*?)\s*$",
        '{name} $ is of Tidal; write track("{name}", {called})' + _PASTE,
    ),
    (r"^\s*(?:let|const|var)\s+(?P<rest>.*?);?\s*$", "a name is given by = alone; write {rest}"),
    (
        r"^(?!\s*(?:if|elif|while|assert|return)\b).*?(?P<name>\w+|\((?:\w+\s*,?\s*)*\))\s*=>\s*(?P<rest>[^,{}]*[^,{}\s)]\)?)",
        "{name} => is a function of JavaScript; write lambda {bare}: {rest}",
    ),
    (r"\\\s*(?P<name>\w+)\s*->\s*(?P<rest>.*?)\)?\s*$", "\\{name} -> is a function of Haskell; write lambda {name}: …"),
    (r"^\s*//\s*(?P<rest>.*)$", "a comment begins with #; write # {rest}"),
    (r"`(?P<rest>[^`]*)`?", 'backticks are quotes of JavaScript; write "{rest}", or """…""" for several lines'),
    (r"^\s*function\s+(?P<name>\w+)\s*(?P<rest>\([^)]*\))", "a function is written def {name}{rest}:"),
    (r'"\)*\s*\#\s*(?P<name>[a-z]\w*).*never closed', "# begins a comment; write .{name}(…) in place of # {name}"),
    (r"^(?P<rest>.*?)\s\$\s", '$ is of Tidal; write the pattern first, as in s("bd*4").fast(2)'),
    (
        rf'\b(?!(?:{_PYTHON})\b)(?P<name>[a-z]\w*)\s+(?P<rest>"[^"]*")',
        "{name} takes its text in brackets; write {name}({rest})",
    ),
)
"""Patterns of Python syntax errors that lines in other languages cause, with the line to write; see `of_syntax`."""
_CALL = re.compile(r"(?:\w+\.)*(\w+)\(\) (?:takes|missing|got)\b")


def of_syntax(line: str, error: str) -> str:
    """Sentence for a line written for Strudel or Tidal or in a word processor, by Python's `error`; "" for another."""
    for pattern, sentence in _SYNTAX:
        ended = "\0" + error if "invalid character" in pattern or "never closed" in pattern else ""
        if (found := re.search(pattern, line[:200] + ended)) is None:
            continue
        said = {name: (text or "").strip()[:60] for name, text in found.groupdict().items()}
        straight = re.sub("[“”„]", '"', re.sub("[‘’]", "'", line.strip()))[:60]
        called = re.sub(r'\b(\w+)\s+("[^"]*")', r"\1(\2)", said.get("rest", ""))
        called = 's("bd*4")' if re.search(r"\s[$#]\s", called) else called
        return sentence.format(**said, straight=straight, called=called, bare=said.get("name", "").strip("()"))
    return ""


def explain_attribute_error(error: AttributeError) -> str:
    """Sentence for a missing attribute of a pattern or a node; "" for another object's."""
    name, owner = error.name, error.obj
    if name is None:
        return ""
    if owner is None and name in dir(ControlPattern):
        return f'track(…) gives no pattern back; write the word in it, as in track("beat", s("bd*4").{name}(…))'
    if isinstance(owner, LiveNode):
        node = object.__getattribute__(owner, "_name")
        return f'a parameter of a node is set by =, as in node("{node}").{name} = 0.5, and cannot be read or called'
    if isinstance(owner, Pattern | Change):
        known = [word for word in dir(ControlPattern) if not word.startswith("_") and word != "events"]
        return f"a pattern has no word {name}; {_suggest_known_name(name, known) or nearest(name, known)}"
    if isinstance(owner, str) and name in dir(ControlPattern):
        return f'a text is no pattern yet: write s("…").{name}, note("…").{name} or mini("…").{name}'
    called = getattr(owner, "__name__", "")
    if callable(owner) and called in live.__all__:
        return f"{called} is a word that is called first, as in {called}(…).{name}"
    return ""


def explain_name_error(error: NameError) -> str:
    """Sentence for an undefined name."""
    name = error.name
    if not name or isinstance(error, UnboundLocalError):
        return ""
    if _TIDAL_TRACK.fullmatch(name):
        return f'there is no {name} here; write track("{name}", s("bd*4"))'
    if name in UNSUPPORTED_WORDS:
        return f"there is no {name} here; {UNSUPPORTED_WORDS[name]}"
    if name not in live.__all__ and callable(getattr(ControlPattern, name, None)):
        return f"{name} is a word of patterns: write it after one, as in s(…).{name}(…)"
    known = [*live.__all__, *(word for word in dir(builtins) if word.islower() and not word.startswith("_"))]
    missing = "" if name not in live.__all__ else f"; begin the script with: from antiphon.live import {name}"
    return f"there is no {name} here{missing or f'; {_suggest_known_name(name, known) or nearest(name, known)}'}"


def of_call(error: TypeError) -> str:
    """Sentence for a word called with the wrong arguments, or a pattern with a wrong operation; "" for another
    error."""
    found = _CALL.match(str(error))
    if found is not None:
        return _word_call_form(found[1], "." in str(error).partition("(")[0])
    if any(f"'{kind}'" in str(error) for kind in ("Pattern", "ControlPattern", "BoundArithmetic")):
        return 'a pattern is changed by its methods and by + - *, as in note("c4 e4").add(7).fast(2)'
    return ""


def explain_shadowed_word(error: TypeError, path: str) -> str:
    """Sentence for a word that the script has redefined, and calls; "" for another error."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == path]
    if not frames or "object is not callable" not in str(error):
        return ""
    names = {name: value for name, value in frames[-1].f_globals.items() if type(value).__name__ in str(error)}
    taken = [name for name in names if callable(getattr(live, name, None)) and not callable(names[name])]
    if not taken:
        return ""
    return f"{taken[0]} is a name of this script here, and no word any more; give it another name, as {taken[0]}_1"


def explain_value_error(error: BaseException, path: str) -> str:
    """Sentence for a word called with an unusable value; "" for another error."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    places = [k for k, frame in enumerate(frames) if frame.f_code.co_filename == path]
    if not places or places[-1] + 1 >= len(frames):
        return ""
    called = frames[places[-1] + 1]
    if not called.f_globals.get("__name__", "").startswith(live.__name__):
        return ""
    words = [entry.name for entry in WORDS.values() if getattr(entry.function, "__code__", None) is called.f_code]
    given = words[0] if len(words) == 1 else str(called.f_locals.get("name", called.f_code.co_name))
    return _word_call_form(given, "self" in called.f_locals)


def _word_call_form(name: str, method: bool) -> str:
    entry = next((entry for entry in WORDS.values() if name in entry.names), None)
    method = method or (entry is not None and not hasattr(live, name))
    word = getattr(ControlPattern, name, None) or getattr(LiveNode, name, None) if method else None
    word = word or getattr(live, name, None)
    # a function of the script's own may have the name of none of the words
    if word is None or not callable(word):
        return ""
    if name == "track":
        return f"a track has a name first, then a pattern, as in {_TRACK}"
    parameters = [p for p in inspect.signature(word).parameters.values() if p.name not in ("self", "p")]
    written = ", ".join(_written(p) for p in parameters)
    if not written and not method and callable(getattr(ControlPattern, name, None)):
        return f"{name}() takes nothing; the word of patterns stands after one{example_of(name, entry)}"
    takes = f"is written {'.' if method else ''}{name}({written})" if written else f"takes nothing: write {name}()"
    return f"{name} {takes}{example_of(name, entry)}"


def example_of(name: str, entry: TableWord | None) -> str:
    """`, as in …` for a word that has an example."""
    from antiphon.live.reference import EXAMPLES

    shown = entry.example if entry is not None else EXAMPLES.get(name, "")
    return f", as in {shown}" if shown else ""


def _written(parameter: inspect.Parameter) -> str:
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"{parameter.name}…"
    if parameter.kind is parameter.VAR_KEYWORD:
        return "NAME=…"
    return parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"


def _suggest_known_name(name: str, known: Iterable[str]) -> str:
    """Suggests a name: the substitute of an unsupported word, or the nearest names."""
    if name in UNSUPPORTED_WORDS:
        return UNSUPPORTED_WORDS[name]
    words = tuple(known)
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return f"did you mean {plain}?" if plain in words else suggest(plain, words).strip()


_LONGEST = 300


def refuse_forks(event: str) -> None:
    """Audit hook that raises `UsageError` when a script forks the process, since nothing would end the copy."""
    if event in ("os.fork", "os.forkpty"):
        raise UsageError("a live script makes no copies of its process; take os.fork and multiprocessing out")


def refuse_sleep() -> None:
    """Makes `time.sleep` raise `UsageError` in a script of this process; threads of the script may sleep."""
    sleep = time.sleep

    def refused(seconds: float | SupportsIndex) -> None:
        if performing():
            raise UsageError(f"time.sleep stops all that plays; {UNSUPPORTED_WORDS['sleep']}")
        sleep(seconds)

    time.sleep = refused


def fault(script: LiveScript, error: BaseException, line: int = 0) -> ScriptError:
    """Makes a script error from a Python error; `line`: its line, if its traceback lacks it."""
    return fault_in_script(script.path, error, line)


def fault_in_script(path: str, error: BaseException, line: int = 0) -> ScriptError:
    """`fault` with the position given by the path of the script."""
    if isinstance(error, ScriptError):
        return error
    name = os.path.basename(path) or path
    if isinstance(error, SyntaxError) and error.filename == path:
        text = (error.text or "").rstrip("\n")
        column = max(1, error.offset or 1)
        shown = text.expandtabs(1)[:100]
        picture = f"{shown}\n{' ' * (min(column, 100) - 1)}^" if shown else ""
        known = of_syntax(text, error.msg) or error.msg
        return ScriptError(f"{name} line {error.lineno or 1}: {known}", picture)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    at = (lines[-1] if lines else line) or line
    where = f"{name} line {at}" if at else name
    return ScriptError(f"{where}: {_said(error, path)}", error.picture if isinstance(error, MiniError) else "")


def _said(error: BaseException, path: str) -> str:
    if isinstance(error, AntiphonError):
        return str(error)
    if isinstance(error, RecursionError):
        return "it calls itself too deeply; patterns within patterns within patterns are too many"
    if isinstance(error, MemoryError):
        return "it takes more memory than a script may have"
    if isinstance(error, ScriptTooLong):
        return f"it runs without end: {error} without a wait; a loop waits by yield"
    if isinstance(error, SystemExit):
        return "a script plays to its end: take exit() out"
    known = ""
    if isinstance(error, AttributeError):
        known = explain_attribute_error(error)
    elif isinstance(error, NameError):
        known = explain_name_error(error)
    elif isinstance(error, TypeError):
        known = explain_shadowed_word(error, path) or of_call(error)
    if known := known or explain_value_error(error, path):
        return known
    text = " ".join(str(error).split())[:_LONGEST]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
