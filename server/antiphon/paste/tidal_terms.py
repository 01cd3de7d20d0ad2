"""Terms of Tidal's expressions: their Python form, application and combination."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns.controls import ControlPattern
from antiphon.live.patterns.harmony import note_number
from antiphon.live.patterns.mini_reading import read
from antiphon.paste import words
from antiphon.paste.expressions import missing_reason
from antiphon.paste.script import CallChain, UnknownPartError, name_of, quoted
from antiphon.paste.words import FUNCTIONS, METHODS, RENAMED, ROUTES, SETTERS, SIGNALS, VALUE_NAMES

_VALUES = {"+": "add", "*": "times", "-": "sub", "/": "div", "<": "set", ">": "set", "=": "set"}
SYNTH_NOTE = "note of a synth"
"""Maker of the notes of SuperDirt's synths, by `n` or `note`."""
_MAKERS = {"sound": "s", "s": "s", "n": "n", "note": "note", "up": "note", "midinote": "note", SYNTH_NOTE: "note"}
SOUNDING = frozenset(_MAKERS)
"""Words that choose a sound: without them nothing plays."""
_LISTS = frozenset({
    "stack", "cat", "fastcat", "slowcat", "randcat", "overlay", "fastCat", "choose", "wchoose", "wrandcat",
})  # fmt: skip
_PAIRS = (
    {"append": "slowcat", "slowAppend": "slowcat", "slowappend": "slowcat"}
    | dict.fromkeys(("fastAppend", "fastappend"), "fastcat")
    | {"overlay": "stack"}
)
"""Our words for several patterns, by Tidal's words for two."""
_ZEROS = {"note": 36, "up": 36, SYNTH_NOTE: 60}
"""Our number of Tidal's note 0, its c5. A sample is unpitched at c2, a synth plays c4."""
_NAMED = re.compile(r"(?<![\w'.:])([a-g](?:[sf#])?)(\d?)(?![\w.])")
_BARE = re.compile(r"(?<![\w'.:*/@!%?])-?\d")
_TESTING = {"fix": 1, "contrast": 2}
"""Words that take values to compare with, and the number of arguments before these."""
_IN_PARTS = ("zoom", "zoomArc", "within", "compress")
"""Words that take the parts of a tuple separately."""
_WHOLE = {"spread": 3, "slowspread": 3, "fastspread": 3, "interlace": 2} | dict.fromkeys(_PAIRS, 2)
"""Words that are not methods, and their number of arguments."""
_FIRST = {"sew": 1, "stitch": 1, "wedge": 1, "euclidFull": 2}
"""Words of two patterns of which Tidal's first is the changed one here, and the number of arguments before them."""
_TAKES = {"rolledBy": 1, "slice": 2, "rib": 2, "ribbon": 2, "echo": 3, "euclidOff": 3, "every'": 3}
"""Number of arguments before the pattern, for words that need fewer of them here."""
_CHORD = re.compile(r"[a-g\d][sf#]?'[a-z]")
_NUMBER = re.compile(r"-?[\d.]+")
_TURNS, _QUICK = re.compile(r"<[^<>]*>(?![*!(])"), re.compile(r'"[^"]*[\s*!(]')
"""Matches one step a cycle, and a text of several."""
_EUCLID = re.compile(r"\([^)]*\)")


_PATTERNS = {"pattern": "pattern", "signal": "signal", "text": "value", "value": "value"}
"""Kinds of terms that are patterns, by the kind of a changed one."""


@dataclass(frozen=True, slots=True)
class Term:
    """Part of an expression in Python.

    `kind`: "pattern", "change" (a function of a pattern), "value", "control" (a value of notes, such as `gain 0.8`),
    "list", "tuple", or "missing", whose code is the reason.
    """

    kind: str
    code: CallChain | str  # its expression; of a control the value
    name: str = ""  # of a control, or of a word that still lacks arguments
    given: tuple[str, ...] = ()
    body: Callable[..., Term | None] | None = None  # of a program's own name
    zero: int = 0  # number of Tidal's note 0 in a pattern of notes


def named(name: str) -> Term:
    if name == "id":
        return Term("change", "lambda p: p")
    if name == "silence":
        return Term("pattern", CallChain("silence()"))
    if name in _MAKERS or name in _PAIRS or name in ("const", "fmap", "ncat"):
        return Term("maker" if name in _MAKERS else "word", "", name)
    word = RENAMED.get(name, name)
    if word in SIGNALS:
        return Term("signal", CallChain(name_of(word)))
    if word in METHODS or word in FUNCTIONS or word in _TAKES:
        return Term("word", "", word)
    raise UnknownPartError(f"there is no {name} here{missing_reason(name)}")


def applied(term: Term, argument: Term) -> Term:
    """Applies a word to one more argument."""
    match term.kind:
        case "maker":
            return _made(term.name, argument)
        case "word" if term.name == "const":
            return Term("change", f"lambda p: {_chain(argument)}")
        case "word" if term.name == "fmap":  # a change of values is one of the pattern
            return argument
        case "word" if term.name == "ncat" and argument.kind == "list":
            return _join_patterns("arrange", argument.given)
        case "word":
            if len(term.given) + 1 == _WHOLE.get(term.name):
                parts = (*term.given, str(code_of(argument)))
                return replace(_join_patterns(_PAIRS.get(term.name, term.name), parts), zero=argument.zero)
            if len(term.given) == _TESTING.get(term.name) and argument.kind in ("pattern", "word") and argument.given:
                value = re.sub(r'^"(-?[\d.]+)"$', r"\1", argument.given[0])
                return replace(term, given=(*term.given, f"{name_of(argument.name)}={value}"))
            changes = any(given.startswith("lambda") for given in term.given)
            if argument.kind in _PATTERNS and _is_full(term) and (changes or not _is_number(argument)):
                if term.name in _FIRST:
                    return Term(
                        _PATTERNS[argument.kind],
                        _change_first_pattern(term, str(code_of(argument))),
                        zero=argument.zero,
                    )
                changed = _chain(argument).then(f".{name_of(term.name)}({', '.join(term.given)})")
                return Term(_PATTERNS[argument.kind], changed, zero=argument.zero)
            if term.name in _LISTS and argument.kind == "list":
                return _join_patterns(term.name, argument.given)
            if term.name == "scale" and argument.kind == "text":  # from note 0 on
                argument = replace(argument, code=re.sub(r"[A-Za-z]\w*", r"c-1:\g<0>", str(argument.code)))
            if term.name == "scale" and not term.given and _is_number(argument):  # Tidal's range before 1.0
                term = Term("word", "", "range")
            opened = (argument.kind, term.name) == ("list", "layer") or (
                argument.kind == "tuple" and term.name in _IN_PARTS
            )
            parts = argument.given if opened else (str(code_of(argument)),)
            given = (*term.given, *parts)
            if term.name == "every'" and len(given) == _TAKES[term.name]:
                return Term("word", "", "every", (given[0], given[2], f"first={given[1]}"))
            return Term("word", "", term.name, given)
        case "function" if term.body is not None:
            return term.body(argument) or replace(term, body=partial(term.body, argument))
        case "change" if argument.kind in _PATTERNS:
            return Term(_PATTERNS[argument.kind], _changed(str(term.code), _chain(argument)), zero=argument.zero)
    raise UnknownPartError(f"{term.name or str(term.code)[:40]} takes no argument here")


def _change_first_pattern(term: Term, other: str) -> CallChain:
    """The first pattern of a word for two, changed by the word and the second."""
    *before, first = term.given
    head = CallChain(f"mini({first})" if first.startswith('"') else first)
    return head.then(f".{name_of(term.name)}({', '.join((*before, other))})")


def _is_number(term: Term) -> bool:
    return term.kind == "value" and not isinstance(term.code, CallChain)


def _join_patterns(name: str, parts: Sequence[str]) -> Term:
    """Joins several patterns by a word; texts give a pattern of values."""
    texts = name != "choose" and any(part.startswith('"') for part in parts)
    shown = ", ".join(f"mini({part})" if texts and part.startswith('"') else part for part in parts)
    return Term("value" if texts or "choose" in name else "pattern", CallChain(f"{name}({shown})"))


def _changed(change: str, pattern: CallChain) -> CallChain:
    """Applies a change to a pattern, as a method if it is one."""
    if change.startswith("lambda p: p."):
        return pattern.then(change.removeprefix("lambda p: p"))
    if re.match(r"\w+\(", change):
        return pattern.then(f".{change}")
    return CallChain(f"({change})({pattern})")


def _made(name: str, argument: Term) -> Term:
    zero = _ZEROS.get(name, 0)
    if argument.kind == "text" and zero and _NAMED.search(text := words.remove_comments(str(argument.code))):
        if not _BARE.search(_EUCLID.sub("", text)):
            return Term(
                "pattern", CallChain(f"note({quoted(_NAMED.sub(partial(_shift_note_name, zero), text))})"), zero=zero
            )
        argument = _numbered(argument)
    code = code_of(argument)
    chain = (
        code if isinstance(code, CallChain) and code.head.startswith("note(") else CallChain(f"{_MAKERS[name]}({code})")
    )
    return Term("pattern", chain.then(f".add({zero})") if zero else chain, name, (str(code_of(argument)),), zero=zero)


def _is_both(operator: str) -> bool:
    """True for an operator that takes the times of both sides."""
    return operator[:1] == operator[-1:]


def _is_quick(term: Term) -> bool:
    """True for a term with its own onsets, for an operator that takes the times of both sides."""
    return term.kind == "text" and _has_steps(str(code_of(term)))


def _has_steps(text: str) -> bool:
    return _QUICK.search(_TURNS.sub("_", text)) is not None


def _numbered(term: Term) -> Term:
    """Replaces the names of notes in a text by numbers, counted from Tidal's c5."""
    if term.kind != "text":
        return term
    text = words.remove_comments(str(term.code))
    return replace(term, code=_NAMED.sub(lambda found: str(note_number(_shift_note_name(0, found))), text))


def _shift_note_name(zero: int, found: re.Match[str]) -> str:
    """Name of a note for `zero` as Tidal's c5."""
    letter = found[1][0] + found[1][1:].replace("f", "b")
    return f"{letter}{int(found[2] or 5) - 6 + zero // 12}"


def code_of(term: Term) -> CallChain | str:
    """Expression of a term as an argument."""
    match term.kind:
        case "text":
            return quoted(_readable(words.remove_comments(str(term.code))))
        case "list":
            return f"[{term.code}]"
        case "maker":
            return _MAKERS[term.name]
        case "word" if len(term.given) + 1 == _WHOLE.get(term.name):
            return f"lambda p: {_join_patterns(_PAIRS.get(term.name, term.name), (*term.given, 'p')).code}"
        case "word" if term.name in _FIRST and _is_full(term):
            return f"lambda p: {_change_first_pattern(term, 'p')}"
        case "word":
            name, given = name_of(term.name), f"({', '.join(term.given)})" if term.given else ""
            # of words that are Python's too, scripts have the method alone
            alone = name not in FUNCTIONS and hasattr(ControlPattern, name)
            return f"lambda p: p.{name}{given or '()'}" if alone else f"{name}{given}"
    return term.code


def _readable(text: str) -> str:
    """Returns the text. Raises UnknownPartError: it is not mini-notation."""
    try:
        read(text, lambda word: [word])
    except UsageError as error:
        raise UnknownPartError(str(error).splitlines()[0]) from None
    return text


def plays(term: Term) -> bool:
    """True for a pattern, or a change of one."""
    return term.kind in ("pattern", "change")


def _chain(term: Term, maker: str = "mini") -> CallChain:
    if term.kind == "text":
        chord = _CHORD.search(str(term.code))
        return CallChain(f"note({code_of(_numbered(term))})" if chord else f"{maker}({code_of(term)})")
    if _is_number(term):
        return CallChain(f"pure({term.code})")
    return term.code if isinstance(term.code, CallChain) else CallChain(str(term.code))


def _is_full(term: Term) -> bool:
    """True for a word with all arguments but the pattern."""
    function = getattr(ControlPattern, name_of(term.name), None)
    if function is None or (term.name in SETTERS and not term.given):
        return False
    parameters = list(inspect.signature(function).parameters.values())[1:]
    needed = sum(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)
    return len(term.given) >= _TAKES.get(term.name, needed)


def joined(operator: str, left: Term, right: Term) -> Term:
    match operator:
        case "$" | "<$>":
            return applied(left, right)
        case ".":
            inner, outer = code_of(right), code_of(left)
            return Term("change", f"lambda p: {_call(outer)}({_call(inner)}(p))")
        case "<~" | "~>":
            return Term("pattern", _chain(right).then(f".{'early' if operator == '<~' else 'late'}({code_of(left)})"))
        case ",":
            given = (*(left.given if left.kind == "tuple" else (str(code_of(left)),)), str(code_of(right)))
            return Term("tuple", f"({', '.join(given)})", given=given)
        case "<>":
            return Term("pattern", CallChain(f"stack({code_of(left)}, {code_of(right)})"))
    if left.kind == "word" and left.name in SETTERS and len(left.given) == 1:  # times of a value
        value = left.given[0]
        kind = "mini" if value[0] == '"' else "pure" if re.fullmatch(r"[-+*/\d.\s()]+", value) else ""
        links = (f".as_({quoted(VALUE_NAMES.get(left.name, left.name))})", ROUTES.get(left.name, ""))
        left = Term("pattern", CallChain(f"{kind}({value})" if kind else value, tuple(filter(None, links))))
    if left.kind == "pattern":
        zero = left.zero or right.zero
        return Term(
            "pattern", _chain(left).then(_offset_note_change(_value_change_code(operator, right), zero)), zero=zero
        )
    both = _is_both(operator)
    if left.kind in ("text", "value") and operator.strip("|") in ("+", "-", "*", "/"):
        if operator in ("+|", "*|"):  # the times are those of the right one
            left, right = right, left
        operator = operator if operator in ("-|", "/|") else operator.strip("|")
    if operator in ("+", "-", "*", "/", "%") and left.kind == "value" and right.kind == "value":
        sign = "/" if operator == "%" else operator
        return Term("value", f"({left.code} {sign} {right.code})")
    if operator in ("+", "-", "*", "/"):
        left, right = _numbered(left), _numbered(right)
        if operator == "+" and right.kind == "text" and _CHORD.search(str(right.code)):
            left, right = right, left
        word = {"+": "add", "-": "sub", "*": "mul", "/": "div"}[operator]
        mix = ".mix" if _is_quick(right) and not _is_number(left) and both else ""
        if _is_number(left) and operator != "/":  # the times are those of the right one
            negative = (".mul(-1)",) if operator == "-" else ()
            return Term(
                "value", CallChain(str(_chain(right)), (*negative, f".{word.replace('sub', 'add')}({left.code})"))
            )
        return Term("value", CallChain(str(_chain(left)), (f".{word}{mix}({code_of(right)})",)))
    raise UnknownPartError(f"{operator} joins patterns")


def _call(code: CallChain | str) -> str:
    return f"({code})" if str(code).startswith("lambda") else str(code)


def _value_change_code(operator: str, right: Term) -> str:
    """Change that adds values of another pattern: `# speed 2` and similar."""
    word = "set" if operator == "#" else _VALUES[operator.strip("|")]
    mixed = word in ("add", "sub") and _is_both(operator) and any(map(_has_steps, right.given))
    word += ".mix" if mixed else ""
    if operator in ("|<", "<|", "|<|"):
        raise UnknownPartError(f"{operator} keeps the values of its left side, which no word does here")
    if right.kind == "word" and len(right.given) == 1:
        return _with(word, right.name, right.given[0])
    if right.kind == "pattern" and isinstance(right.code, CallChain):
        made = re.fullmatch(r"(s|n|note)\((.*)\)", right.code.head, re.S)
        if made is not None and len(right.code.links) <= (right.name in _ZEROS):
            if made[1] == "note" and right.code.links and word == "set":
                return f".set({right.code})"
            return _with(word, made[1], made[2])
        return f".{word}({right.code})"
    if right.kind in ("value", "text", "signal") and word != "set":
        return f".{'mul' if word == 'times' else word}({code_of(right)})"
    raise UnknownPartError(f"behind {operator} a value stands, as in # speed 2")


def _offset_note_change(link: str, zero: int) -> str:
    """Change of notes; a product applies to their distance from Tidal's note 0."""
    products = (".times(note=", ".mul(", ".div(")
    return f".add(-{zero}){link}.add({zero})" if zero and link.startswith(products) else link


def _with(word: str, name: str, value: str) -> str:
    if word == "set":
        if name == "octave":  # Tidal's is 5 where there is none
            value = f"{float(value) - 5:g}" if _NUMBER.fullmatch(value) else f"seq({value}).sub(5)"
        elif name == "velocity":
            scaled = f"{min(127.0, max(1.0, 127 * float(value))):g}" if _NUMBER.fullmatch(value) else ""
            value = scaled or f"seq({value}).mul(127).clamp(1, 127)"
        elif value.startswith('"') or _NUMBER.fullmatch(value):
            value = words.bounded(value, name)
        return f".{name_of(name)}({value}){ROUTES.get(name, '')}"
    return f".{word}({value})" if name == "note" and word[:3] in ("add", "sub") else f".{word}({name_of(name)}={value})"


def section(operator: str, left: Term | None, right: Term | None) -> Term:
    """Operator section, a function of a pattern: `(# speed 2)`, `(0.25 ~>)`, `(+ n 1)`."""
    if operator == "$" and right is not None and not right.code:
        return Term("change", "lambda f: f")
    if operator in ("<~", "~>") and left is not None:
        return Term("change", f"{'early' if operator == '<~' else 'late'}({code_of(left)})")
    if right is not None and operator not in ("$", "."):
        named_one = operator if "|" in operator or operator == "#" else f"|{operator}"
        return Term("change", f"lambda p: p{_offset_note_change(_value_change_code(named_one, right), right.zero)}")
    raise UnknownPartError(f"({operator}) alone is not read here")
