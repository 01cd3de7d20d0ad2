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
from antiphon.paste.script import CallChain, UnknownPartError, name_of, quote
from antiphon.paste.words import FUNCTIONS, METHODS, ROUTES, SETTERS, SIGNALS, TIDAL, VALUE_NAMES

_VALUES = {"+": "add", "*": "times", "-": "sub", "/": "div", "%": "mod", "<": "keep", ">": "set", "=": "set"}
SYNTH_NOTE = "note of a synth"
"""Maker of the notes of SuperDirt's synths, by `n` or `note`."""
_ARITHMETIC = ("+", "-", "*", "/", "%")
_MAKERS = {"sound": "s", "s": "s", "n": "n", "note": "note", "up": "note", "midinote": "note", SYNTH_NOTE: "note"}
SOUNDING = frozenset(_MAKERS)
"""Words that choose a sound: without them nothing plays."""
_LISTS = frozenset({
    "stack", "cat", "fastcat", "slowcat", "randcat", "overlay", "fastCat", "choose", "timecat", "wchoose", "wrandcat",
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
_IN_PARTS = ("zoom", "zoomArc", "within_time", "within'", "compress")
"""Words that take the parts of a tuple separately."""
_WHOLE = {"spread": 3, "slowspread": 3, "fastspread": 3, "interlace": 2} | dict.fromkeys(_PAIRS, 2)
"""Words that are not methods, and their number of arguments."""
_FIRST = {"sew": 1, "stitch": 1, "wedge": 1, "euclidFull": 2}
"""Words of two patterns of which Tidal's first is the changed one here, and the number of arguments before them."""
_TAKES = {"rolledBy": 1, "slice": 2, "rib": 2, "ribbon": 2, "euclidOff": 3, "every'": 3}
"""Number of arguments before the pattern, for words that need fewer of them here."""
_CHORD = re.compile(r"[a-g\d][sf#]?'[a-z]")
_NUMBER = re.compile(r"-?[\d.]+")
_TURNS, _QUICK = re.compile(r"<[^<>]*>(?![*!(])"), re.compile(r'"[^"]*[\s*!(]')
"""Matches one step a cycle, and a text of several."""
_TESTS = {"eq": "==", "lt": "<", "gt": ">", "le": "<=", "ge": ">="}
_TEST = re.compile(r"\(\(\s*(==|<=?|>=?)\s*(\d+)\)\s*\.\s*\(\s*(?:`mod`|flip\s+mod)\s+(\d+)\s*\)\s*\)")
_FRACTION = re.compile(r"(?<![\w.])(\d*\.?\d*)([whqestfx])(?![\w.])")
_FRACTIONS = {"w": 1, "h": 1 / 2, "q": 1 / 4, "e": 1 / 8, "s": 1 / 16, "t": 1 / 3, "f": 1 / 5, "x": 1 / 6}
_EUCLID = re.compile(r"\([^)]*\)")


def _woven(cycles: str, part: str, name: str, parts: str) -> str:
    """Parts at the same time, each later by an equal share of some cycles."""
    return f"stack(*[{part}.early({cycles} * k / len({parts})) for k, {name} in enumerate({parts})])"


_ALSO = {"weave'": "weaveWith", "eoffful": "euclidOffFull", "eoffFull": "euclidOffFull"}


def _double(code: str) -> str:
    return f"seq({code}).mul(2)" if code.startswith('"') else f"2 * {code}"


def _stut(times: str, feedback: str, cycles: str) -> str:
    share = f"({feedback} + (1 - {feedback}) * ({times} - k) / {times})"
    return f"lambda p: p.echo_with({times}, {cycles}, lambda q, k: q.mul(gain={share}) if k else q)"


def _ghost(change: str, at: float, cycles: str) -> str:
    return f".superimpose(lambda q: ({change})(q).late({at} * {cycles}))"


_SPELLED: dict[str, tuple[int, Callable[..., str]]] = {
    "chunk'": (2, lambda n, f: f"lambda p: p.chunk_time(-{n}, {f})"),
    "echo": (3, lambda n, t, share: f"lambda p: p.echo_with({n}, {t}, lambda q: q.mul(gain={share}))"),
    "juxcut": (1, lambda f: f"lambda p: stack(p.set(pan=0, cut=-1), ({f})(p.set(pan=1, cut=-2)))"),
    "loopFirst": (0, lambda: "lambda p: p.time_loop(1)"),
    "stut": (3, _stut),
    "smash'": (2, lambda n, factors: f"lambda p: cat(*[p.chop({n}).slow(k) for k in {factors}])"),
    "soak": (2, lambda n, f: f"lambda p: cat({', '.join(f'({f})(' * k + 'p' + ')' * k for k in range(int(n)))})"),
    "sometimesBy'": (2, lambda n, f: f"lambda p: p.degrade_by({n}).overlay(({f})(p).undegrade_by(1 - {n}))"),
    "ghostWith": (2, lambda t, f: f"lambda p: p{''.join(_ghost(f, at, t) for at in (1.5, 2.5))}"),
    "palindrome": (0, lambda: "lambda p: slowcat(p, p.rev())"),
    "selectF": (2, lambda at, fs: f"lambda p: p.pick_f({_mini(at)}.mul(len({fs})).floor(), {fs})"),
    "swingBy": (2, lambda amount, n: f"lambda p: p.swing_by({_double(amount)}, {n})"),
    "unDegradeBy": (1, lambda share: f"lambda p: p.undegrade_by(seq({share}).mul(-1).add(1))"),
    "within'": (3, lambda a, b, f: f"lambda p: ({f})(p.zoom({a}, {b})).compress({a}, {b}).overlay("
                f"p.filter_when(lambda t: not {a} <= t % 1 < {b}))"),
}  # fmt: skip
"""Changes that are spelt by other words here: their number of arguments, and the code of them."""
_NUMERIC = ("echo", "soak", "sometimesBy'", "stut")
_PICKED: dict[str, tuple[int, Callable[..., str]]] = {
    "binary": (1, lambda number: f"binary_n({number}, 8)"),
    "binaryN": (2, lambda digits, number: f"binary_n({number}, {digits})"),
    "euclidOffFull": (5, lambda k, n, r, p, q: f"{p}.euclid_off({k}, {n}, {r}).overlay({q}.euclid_inv({k}, {n}, {r}))"),
    "inhabit": (2, lambda choices, text: f"{_mini(text)}.pick_squeeze(dict({choices}))"),
    "select": (2, lambda at, choices: f"{_mini(at)}.mul(len({choices}) - 1).floor().pick({choices})"),
    "squeeze": (2, lambda text, choices: f"{_mini(text)}.pickmod_squeeze({choices})"),
    "ur": (4, lambda t, text, choices, _: f"{_mini(text)}.slow({t}).pick_restart(dict({choices}))"),
    "weave": (3, lambda t, base, parts: _woven(t, f"p.set({base}.slow({t}))", "p", parts)),
    "weaveWith": (3, lambda t, base, changes: _woven(t, f"f({base}.slow({t}))", "f", changes)),
}
"""Words that make a pattern of their arguments: their number, and the code."""


def _mini(code: str) -> str:
    return f"mini({code})" if code.startswith('"') else code


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


def term_of(name: str) -> Term:
    if name == "id":
        return Term("change", "lambda p: p")
    if name == "silence":
        return Term("pattern", CallChain("silence()"))
    if name in _SPELLED:
        return _spelled(name, ())
    if name == "cosine":
        return Term("signal", CallChain("sine", (".late(1 / 4)",)))
    if found := re.fullmatch(r"cycle_(\d+)_(\d+)_(\w\w)", name):
        return Term("value", f"lambda cycle: cycle % {found[1]} {_TESTS[found[3]]} {found[2]}")
    if name == "Arc" or (name := _ALSO.get(name, name)) in _PICKED:
        return Term("word", "", name)
    if name in _MAKERS or name in _PAIRS or name in ("const", "fmap", "ncat"):
        return Term("maker" if name in _MAKERS else "word", "", name)
    word = TIDAL.get(name, name)
    if word in SIGNALS:
        return Term("signal", CallChain(name_of(word)))
    if word in METHODS or word in FUNCTIONS or word in _TAKES:
        return Term("word", "", word)
    raise UnknownPartError(f"there is no {name} here{missing_reason(name)}")


def apply(term: Term, argument: Term) -> Term:
    """Applies a word to one more argument."""
    match term.kind:
        case "maker":
            return _made(term.name, argument)
        case "word" if term.name == "const":
            return Term("change", f"lambda p: {_chain(argument)}")
        case "word" if term.name == "fmap":  # a change of values is one of the pattern
            return argument
        case "word" if term.name == "Arc" and term.given:
            return Term("tuple", "", given=(*term.given, str(code_of(argument))))
        case "word" if term.name == "timecat" and argument.kind == "list":
            return _join_weighted(argument.given)
        case "word" if term.name in _PICKED:
            given = (*term.given, str(_control(argument).code if argument.kind == "word" else code_of(argument)))
            if term.name == "ur" and len(given) == 4 and given[3] != "[]":
                raise UnknownPartError("its changes are written behind its patterns here")
            count, pick = _PICKED[term.name]
            return Term("pattern", CallChain(pick(*given))) if len(given) == count else replace(term, given=given)
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
            if (
                argument.kind in _PATTERNS
                and term.name not in _WHOLE
                and _is_full(term)
                and (changes or not _is_number(argument))
            ):
                if term.name in _FIRST:
                    return Term(
                        _PATTERNS[argument.kind],
                        _change_first_pattern(term, str(code_of(argument))),
                        zero=argument.zero,
                    )
                changed = _chain(argument).with_link(f".{name_of(term.name)}({', '.join(term.given)})")
                return Term(_PATTERNS[argument.kind], changed, zero=argument.zero)
            if term.name in _LISTS and argument.kind == "list":
                return _join_patterns(term.name, argument.given)
            if term.name == "off" and not term.given:
                argument = _counted(argument)
            if term.name == "scale" and argument.kind == "text":  # from note 0 on
                argument = replace(argument, code=re.sub(r"[A-Za-z]\w*", r"c-1:\g<0>", str(argument.code)))
            if term.name == "scale" and not term.given and _is_number(argument):  # Tidal's range before 1.0
                term = Term("word", "", "range")
            opened = (argument.kind, term.name) == ("list", "layer") or (
                argument.kind == "tuple" and term.name in _IN_PARTS
            )
            parts = argument.given if opened else (str(code_of(argument)),)
            given = (*term.given, *parts)
            if term.name in _SPELLED:
                return _spelled(term.name, given)
            if term.name == "every'" and len(given) == _TAKES[term.name]:
                return Term("word", "", "every", (given[0], given[2], f"first={given[1]}"))
            return Term("word", "", term.name, given)
        case "function" if term.body is not None:
            return term.body(argument) or replace(term, body=partial(term.body, argument))
        case "change" if argument.kind in _PATTERNS:
            return Term(_PATTERNS[argument.kind], _apply_change(str(term.code), _chain(argument)), zero=argument.zero)
    raise UnknownPartError(f"{term.name or str(term.code)[:40]} takes no argument here")


def _counted(term: Term) -> Term:
    """A text of times with the letters of Tidal's fractions as numbers: "e" is an eighth."""
    if term.kind != "text":
        return term
    return replace(
        term, code=_FRACTION.sub(lambda found: f"{float(found[1] or 1) * _FRACTIONS[found[2]]:.9g}", str(term.code))
    )


def _spelled(name: str, given: tuple[str, ...]) -> Term:
    """Change by a word that is spelt otherwise; the word until it has all of its arguments."""
    count, spell = _SPELLED[name]
    if len(given) < count:
        return Term("word", "", name, given)
    if name in _NUMERIC:
        given = tuple(re.sub(r'^"(-?[\d.]+)"$', r"\1", one) for one in given)
        if any('"' in one for one in given if not one.startswith("lambda")):
            raise UnknownPartError("its arguments are numbers here")
    return Term("change", spell(*given))


def _join_weighted(pairs: Sequence[str]) -> Term:
    """Joins pairs of a weight and a pattern to a cycle; texts give a pattern of values."""
    shown = ", ".join(re.sub(r'^\((.+?), ("[^"]*")\)$', r"(\1, mini(\2))", pair) for pair in pairs)
    return Term("value" if "mini(" in shown else "pattern", CallChain(f"timecat({shown})"))


def _change_first_pattern(term: Term, other: str) -> CallChain:
    """The first pattern of a word for two, changed by the word and the second."""
    *before, first = term.given
    head = CallChain(f"mini({first})" if first.startswith('"') else first)
    return head.with_link(f".{name_of(term.name)}({', '.join((*before, other))})")


def _is_number(term: Term) -> bool:
    return term.kind == "value" and not isinstance(term.code, CallChain)


def _join_patterns(name: str, parts: Sequence[str]) -> Term:
    """Joins several patterns by a word; texts give a pattern of values."""
    texts = name != "choose" and any(part.startswith('"') for part in parts)
    shown = ", ".join(f"mini({part})" if texts and part.startswith('"') else part for part in parts)
    return Term("value" if texts or "choose" in name else "pattern", CallChain(f"{name}({shown})"))


def _apply_change(change: str, pattern: CallChain) -> CallChain:
    """Applies a change to a pattern, as a method if it is one."""
    if change.startswith("lambda p: p.") and not re.search(r"\bp\b", change[12:]):
        return pattern.with_link(change.removeprefix("lambda p: p"))
    if re.match(r"\w+\(", change):
        return pattern.with_link(f".{change}")
    return CallChain(f"({change})({pattern})")


def _made(name: str, argument: Term) -> Term:
    zero = _ZEROS.get(name, 0)
    if argument.kind == "text" and zero and _NAMED.search(text := words.remove_comments(str(argument.code))):
        if not _BARE.search(_EUCLID.sub("", text)):
            return Term(
                "pattern", CallChain(f"note({quote(_NAMED.sub(partial(_shift_note_name, zero), text))})"), zero=zero
            )
        argument = _number_notes(argument)
    code = code_of(argument)
    chain = (
        code if isinstance(code, CallChain) and code.head.startswith("note(") else CallChain(f"{_MAKERS[name]}({code})")
    )
    return Term(
        "pattern", chain.with_link(f".add({zero})") if zero else chain, name, (str(code_of(argument)),), zero=zero
    )


def _is_both(operator: str) -> bool:
    """True for an operator that takes the times of both sides."""
    return operator[:1] == operator[-1:]


def _is_quick(term: Term) -> bool:
    """True for a term with its own onsets, for an operator that takes the times of both sides."""
    return term.kind == "text" and _has_steps(str(code_of(term)))


def _has_steps(text: str) -> bool:
    return _QUICK.search(_TURNS.sub("_", text)) is not None


def _number_notes(term: Term) -> Term:
    """Replaces the names of notes in a text by numbers, counted from Tidal's c5."""
    if term.kind != "text":
        return term
    text = words.remove_comments(str(term.code))
    return replace(term, code=_NAMED.sub(lambda found: str(note_number(_shift_note_name(0, found))), text))


def _shift_note_name(zero: int, found: re.Match[str]) -> str:
    """Name of a note for `zero` as Tidal's c5."""
    letter = found[1][0] + found[1][1:].replace("f", "b")
    return f"{letter}{int(found[2] or 5) - 6 + zero // 12}"


def name_tests(code: str) -> str:
    """Code in which each test of a cycle's number, such as ((== 0).(`mod` 2)), is a name."""
    names = {sign: name for name, sign in _TESTS.items()}
    return _TEST.sub(lambda found: f"cycle_{found[3]}_{found[2]}_{names[found[1]]}", code)


def code_of(term: Term) -> CallChain | str:
    """Expression of a term as an argument."""
    match term.kind:
        case "text":
            return quote(_readable(words.remove_comments(str(term.code))))
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
            alone = name in words.OF_CHANGES or (name not in FUNCTIONS and hasattr(ControlPattern, name))
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
        return CallChain(f"note({code_of(_number_notes(term))})" if chord else f"{maker}({code_of(term)})")
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


def join_terms(operator: str, left: Term, right: Term) -> Term:
    match operator:
        case "$":
            return apply(left, right)
        case "<$>":  # of values, without times
            return apply(replace(left, code=str(left.code).replace(".mix(", "(")) if left.code else left, right)
        case ".":
            inner, outer = code_of(right), code_of(left)
            return Term("change", f"lambda p: {_call(outer)}({_call(inner)}(p))")
        case "<~" | "~>":
            left = _counted(left)
            return Term(
                "pattern", _chain(right).with_link(f".{'early' if operator == '<~' else 'late'}({code_of(left)})")
            )
        case ",":
            given = (*(left.given if left.kind == "tuple" else (str(code_of(left)),)), str(code_of(right)))
            return Term("tuple", f"({', '.join(given)})", given=given)
        case "<>":
            return _join_patterns("stack", (str(code_of(left)), str(code_of(right))))
    left = _control(left)
    if left.kind == "pattern":
        zero = left.zero or right.zero
        return Term(
            "pattern", _chain(left).with_link(_offset_note_change(_value_change_code(operator, right), zero)), zero=zero
        )
    if operator in ("|<", "|<|") and left.kind in ("text", "value"):
        return left
    both = _is_both(operator)
    if left.kind in ("text", "value") and operator.strip("|") in _ARITHMETIC:
        if operator in ("+|", "*|"):  # the times are those of the right one
            left, right = right, left
        modulo = operator.strip("|") == "%"
        operator = "|%" if modulo else operator if operator in ("-|", "/|") else operator.strip("|")
    if operator in _ARITHMETIC and left.kind == "value" and right.kind == "value":
        sign = "/" if operator == "%" else operator
        return Term("value", f"({left.code} {sign} {right.code})")
    if operator in ("+", "-", "*", "/", "|%"):
        left, right = _number_notes(left), _number_notes(right)
        if operator == "+" and right.kind == "text" and _CHORD.search(str(right.code)):
            left, right = right, left
        word = {"+": "add", "-": "sub", "*": "mul", "/": "div", "|%": "mod"}[operator]
        quick = _is_quick(right) or (right.kind == "value" and isinstance(right.code, CallChain))
        mix = ".mix" if quick and not _is_number(left) and both else ""
        if _is_number(left) and operator not in ("/", "|%"):  # the times are those of the right one
            negative = (".mul(-1)",) if operator == "-" else ()
            return Term(
                "value", CallChain(str(_chain(right)), (*negative, f".{word.replace('sub', 'add')}({left.code})"))
            )
        return Term("value", CallChain(str(_chain(left)), (f".{word}{mix}({code_of(right)})",)))
    raise UnknownPartError(f"{operator} joins patterns")


def _control(term: Term) -> Term:
    """A value of notes, such as `pan sine`, as a pattern; another term unchanged."""
    if term.kind != "word" or term.name not in SETTERS or len(term.given) != 1:
        return term
    value = term.given[0]
    kind = "mini" if value[0] == '"' else "pure" if re.fullmatch(r"[-+*/\d.\s()]+", value) else ""
    links = (f".as_({quote(VALUE_NAMES.get(term.name, term.name))})", ROUTES.get(term.name, ""))
    return Term("pattern", CallChain(f"{kind}({value})" if kind else value, tuple(filter(None, links))))


def _call(code: CallChain | str) -> str:
    return f"({code})" if str(code).startswith("lambda") else str(code)


def _value_change_code(operator: str, right: Term, *, cuts: bool = False) -> str:
    """Change that adds values of another pattern: `# speed 2` and similar.

    `cuts`: an operator that takes the times of both sides ends what sounds beyond a cycle there, also with a number.
    """
    word = "set" if operator == "#" else _VALUES[operator.strip("|")]
    steps = any(map(_has_steps, right.given))
    mixed = (word in ("add", "sub") and _is_both(operator) and (cuts or steps)) or (operator == "|>|" and steps)
    word += ".mix" if mixed else ""
    if operator[0] != "|" and operator[-1] == "|":  # the times of the right side
        word = f"{word.replace('times', 'mul')}.out"
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
    products = (".times(note=", ".mul(", ".div(", ".mod(")
    return f".add(-{zero}){link}.add({zero})" if zero and link.startswith(products) else link


def _with(word: str, name: str, value: str) -> str:
    if word in ("set", "keep"):
        if name == "octave":  # Tidal's is 5 where there is none
            value = f"{float(value) - 5:g}" if _NUMBER.fullmatch(value) else f"seq({value}).sub(5)"
        elif name == "velocity":
            scaled = f"{min(127.0, max(1.0, 127 * float(value))):g}" if _NUMBER.fullmatch(value) else ""
            value = scaled or f"seq({value}).mul(127).clamp(1, 127)"
        elif value.startswith('"') or _NUMBER.fullmatch(value):
            value = words.bound_numbers(value, name)
        if word == "keep":
            return f".keep({name_of(VALUE_NAMES.get(name, name))}={value})"
        return f".{name_of(name)}({value}){ROUTES.get(name, '')}"
    if word == "set.mix":
        return f".set.mix({name_of(VALUE_NAMES.get(name, name))}={value})"
    return (
        f".{word}({value})"
        if name == "note" and word in ("add", "sub", "add.mix", "sub.mix")
        else f".{word}({name_of(name)}={value})"
    )


def section(operator: str, left: Term | None, right: Term | None) -> Term:
    """Operator section, a function of a pattern: `(# speed 2)`, `(0.25 ~>)`, `(+ n 1)`."""
    if operator == "$" and right is not None and not right.code:
        return Term("change", "lambda f: f")
    if operator in ("<~", "~>") and left is not None:
        left = _counted(left)
        return Term("change", f"{'early' if operator == '<~' else 'late'}({code_of(left)})")
    if right is not None and operator not in ("$", "."):
        named_one = operator if "|" in operator or operator == "#" else f"|{operator}|"
        link = _value_change_code(named_one, right, cuts=_is_both(named_one) and operator != "#")
        return Term("change", f"lambda p: p{_offset_note_change(link, right.zero)}")
    raise UnknownPartError(f"({operator}) alone is not read here")
