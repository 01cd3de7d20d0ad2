"""Translates Tidal programs, blocks such as `d1 $ every 4 (fast 2) $ sound "bd*2" # gain 0.8`, to a live script.

A small grammar of Haskell's expressions: application, `$`, `.`, lists, sections and operators. Nothing is evaluated.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.paste.script import INVALID_STATEMENT_ERRORS, Script, UnknownPartError, number_of, tempo_lines
from antiphon.paste.tidal_terms import (
    SOUNDING,
    SYNTH_NOTE,
    Term,
    apply,
    code_of,
    join_terms,
    name_tests,
    plays,
    section,
    term_of,
)

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*")|(?P<number>\d+\.\d+(?:e-?\d+)?|\d+)|(?P<name>[A-Za-z_][\w']*)|(?P<sign><~|~>"""
    r"""|\|\+\||\|%\||\|%|%\||\|\*\||\|-\||\|/\||\|<\||\|>\||\|=\||\|\+|\|\*|\|-|\|/|\|<|\|>|\+\||\*\||-\||/\||<\||>\||<>|<\$>"""
    r"""|\\|->|[$.#()\[\],+*/%=-]))"""
)
_COMMENT = re.compile(r'"[^"]*"|(?<!\S)--+(?![!#$%&*+./<=>?@^|~:]).*|\{-(?:.|\n)*?(?:-\}|\Z)')
"""Matches a comment, or a text, in which no comment begins."""
_BINDING = {
    "$": (1, "right"),
    "<$>": (4, "left"),
    ".": (12, "right"),
    **dict.fromkeys(("<~", "~>"), (6, "left")),
    **dict.fromkeys(("#", "<>"), (7, "left")),
    **dict.fromkeys(("+", "-"), (8, "left")),
    **dict.fromkeys(("*", "/", "%"), (9, "left")),
}
"""Precedence and associativity of single-character operators."""
_SYNTHS = re.compile(r"super(?!hat|kick|snare|clap|808|noise|static)\w+")
_TRACK = re.compile(r"(d\d{1,2}|p\s+(?:\"[^\"]*\"|\d+))\s*(?:\$|(?=silence\b))\s*")
_TRANSITION = re.compile(
    r"(?:anticipate|clutch|interpolate|jump|xfade|jumpMod\s*|(?:anticipate|clutch|interpolate|jump|xfade)In'?)\s+(\d+)"
    r"(?:\s+\d+)?\s*\$"
)
"""A transition from one track to another, which here takes place at once."""
_Names: TypeAlias = dict[str, Term | None]


def translate(text: str, script: Script) -> None:
    """Adds the statements of a program to a script; untranslatable ones become comments."""
    names: _Names = {}
    for block in _blocks(text):
        try:
            _statement(block, script, names)
        except RecursionError:
            script.comment(block, "it is nested too deeply")
        except (UnknownPartError, *INVALID_STATEMENT_ERRORS) as error:
            script.refuse(block, error)


def is_tidal(text: str) -> bool:
    """True for a text with a line, or a part of `do {…}`, that begins like a Tidal statement."""
    track = r"d\d{1,2}\s*(\$|silence)|p\s+(\d+|\"[^\"\n]*\")\s*\$|once\s*\$"
    return re.search(rf"(?:^|\bdo\s*\{{|;)[ \t]*({track}|hush\s*$|setcps\s+[\d(])", text, re.M) is not None


def _blocks(text: str) -> Iterator[str]:
    """Statements: a line and the indented or continuing ones after it; each of a `do`."""
    text = _COMMENT.sub(lambda found: "" if found[0].startswith("{-") else found[0], text)
    if found := re.fullmatch(r"\s*do\s*\{(.*)\}\s*", text, re.S):
        text = re.sub(r'"[^"]*"|\s*;\s*', lambda one: one[0] if one[0][0] == '"' else "\n", found[1].strip())
    block: list[str] = []
    left = 0  # indentation of statements; -1 for that of the next line
    for raw in text.expandtabs().splitlines():
        line = re.sub(r"(^|\s)--+(?![!#$%&*+./<=>?@^|~:]).*", "", raw).rstrip()
        if not line and raw.strip():  # a comment alone
            continue
        indent = len(line) - len(line.lstrip())
        if line and (left < 0 or not indent):
            left = indent
        so_far = "".join(block).rstrip()
        inside = sum(map(so_far.count, "[(")) > sum(map(so_far.count, "])")) or so_far.endswith(("$", "#"))
        begins = bool(line) and indent == left and line[indent].isalpha() and (not inside or bool(_TRACK.match(line)))
        if line.strip() in ("do", ":{", ":}"):
            left, line, begins = -(line.strip() == "do"), "", True
        if (begins or not line) and block:
            yield "\n".join(block)
            block = []
        if line.strip():
            block.append(line)
    if block:
        yield "\n".join(block)


def _read_let_names(block: str, names: _Names, script: Script) -> None:
    """Adds the names of a `let`; one that cannot be parsed becomes None. The first such error is raised at the end."""
    failed: Exception | None = None
    for part in re.split(r"\n\s+(?=[a-z][\w']*(?:\s+[\w']+)*\s*=)", re.sub(r"^let\s+", "", block)):
        head, _, value = part.partition("=")
        name, *arguments = head.split()
        names[name] = None
        try:
            code = " ".join(value.split())
            body = partial(_expand_program_function, code, dict(names), tuple(arguments), script)
            made = Term("function", "", name) if arguments else body()
            names[name] = made and replace(made, body=body)
        except (UnknownPartError, *INVALID_STATEMENT_ERRORS) as error:
            failed = failed or error
    if failed is not None:
        raise failed


def _expand_program_function(
    code: str, names: _Names, arguments: tuple[str, ...], script: Script, *given: Term, synths: bool = False
) -> Term | None:
    """Body of a program's function with its arguments inserted; None until all are given. synths: see `TidalParser`."""
    if len(given) < len(arguments):
        return None
    return TidalParser(code, {**names, **dict(zip(arguments, given, strict=True))}, script, synths=synths).parse_whole()


def _statement(block: str, script: Script, names: _Names) -> None:
    code = _TRANSITION.sub(r"d\1 $", " ".join(block.split()), count=1)
    if code == "hush":
        script.add("# hush: it is sent by hand there; what stands above plays on here")
        return
    if code.startswith(("import ", ":set", "resetCycles", "unsolo", "unmute", "panic")):
        return
    if code.startswith(":script"):
        raise UnknownPartError("its definitions are not here: paste them above")
    if found := re.fullmatch(r"(?:(?:set)?cps|bps)\s*\$?\s*(.+)", code):
        script.tempo = tempo_lines(60 * number_of(found[1]), MIN_TEMPO, MAX_TEMPO)
        return
    if re.fullmatch(r"(?:let\s+)?[a-z][\w']*(?:\s+[\w']+)*\s*=\s*.+", code):
        _read_let_names(block.lstrip(), names, script)
        return
    if found := re.match(r"(solo|mute)\s", code):
        raise UnknownPartError(f'write {found[1]}("d1") at the end of the script')
    if re.match(r"once\s*\$", code):
        raise UnknownPartError("a script plays tracks; what sounds once is sent by /node/NAME/play")
    if code.startswith("all "):
        raise UnknownPartError("a script has no word for all tracks; write it in each")
    at = _TRACK.match(code)
    if at is None:
        raise UnknownPartError("it is no line of Tidal that is read here")
    name = at[1] if at[1].startswith("d") else at[1][1:].strip(' "')
    rest = code[at.end() :].strip()
    if rest in ("silence", "hush"):
        script.replace(name)
        script.add(f"# {name} is silent")
        return
    pattern = TidalParser(rest, names, script).parse_whole()
    if pattern.kind != "pattern":
        raise UnknownPartError("this is no pattern of sounds")
    script.track(name, pattern.code, replaces=True)


class TidalParser:
    """Parses one expression, with the names of the program, by precedence climbing over tokens.

    A part without a counterpart is a term "missing". It is left out if a pattern plays without it; otherwise the terms
    made with it are missing too.
    """

    def __init__(self, text: str, names: Mapping[str, Term | None], script: Script, *, synths: bool = False) -> None:
        """synths: whether a synth plays expressions that name no sound."""
        self._tokens, self._names, self._script = list(_tokens(name_tests(text))), names, script
        pairs = enumerate(zip(self._tokens, self._tokens[1:], strict=False), 1)
        texts = [(at, one) for at, (maker, one) in pairs if maker in ("s", "sound")]
        used = [(at, term.code) for at, one in enumerate(self._tokens) if (term := names.get(one)) is not None]
        texts += [(at, " ".join(re.findall(r'\bs\("([^"]*)"', str(code)))) for at, code in used]
        self._sounds = [(at, re.findall(r"[A-Za-z]\w*", text)) for at, text in texts]
        self._at, self._synths = 0, synths

    def parse_whole(self) -> Term:
        """Parses the complete text to a term."""
        term = self._expression(0)
        if self._at < len(self._tokens):
            raise UnknownPartError(f"{self._tokens[self._at]!r} has no place here")
        if term.kind == "missing":
            raise UnknownPartError(str(term.code))
        return term

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _is_synth_context(self) -> bool:
        """True if the sounds in the nearest bracket around the last token, or in a part of a list, are synths."""
        first = last = self._at - 1
        while self._sounds and (first >= 0 or last < len(self._tokens)):
            first, last = self._edge(first, -1), self._edge(last, 1)
            if sounds := [word for at, words in self._sounds if first < at < last for word in words]:
                return all(_SYNTHS.fullmatch(word) for word in sounds)
        return self._synths

    def _edge(self, at: int, step: int) -> int:
        """Index of the next comma or bracket around a token, in the direction of `step`."""
        depth = 0
        while 0 <= (at := at + step) < len(self._tokens):
            token = self._tokens[at]
            depth += step * ((token in ("(", "[")) - (token in (")", "]")))
            if depth < 0 or (depth == 0 and token == ","):
                break
        return at

    def _expression(self, least: int) -> Term:
        first = self._at
        left = self._parse_application()
        while True:
            operator, at = self._peek(), self._at
            strength, side = _strength(operator)
            if strength < max(least, 1):
                return left
            self._next()
            if self._peek() == ")":  # a section: (0.25 ~>)
                return _make_term(section, operator, left, None)
            right = self._expression(strength if side == "right" else strength + 1)
            made = _make_term(join_terms, operator, left, right)
            if made.kind == "missing" and operator in ("$", ".", "<$>") and plays(right):
                made = self._left_out(first, at, made, right)
            elif made.kind == "missing" and plays(left) and operator != "$" and right.name not in SOUNDING:
                made = self._left_out(at, self._at, made, left)
            left = made

    def _left_out(self, first: int, last: int, missing: Term, kept: Term) -> Term:
        """Term of the expression without the tokens from `first` up to `last`."""
        self._script.drop(" ".join(self._tokens[first:last]), str(missing.code))
        return kept

    def _parse_application(self) -> Term:
        if self._peek() == "-":
            self._next()
            term = self._parse_application()
            return term if term.kind == "missing" else Term("value", f"-{term.code}")
        term = self._parse_atom()
        while self._begins():
            term = _make_term(apply, term, self._parse_atom())
        return term

    def _begins(self) -> bool:
        token = self._peek()
        return bool(token) and (token[0] in '"([' or token[0].isalnum() or token[0] == "_")

    def _parse_atom(self) -> Term:
        token = self._next()
        if not token:
            raise UnknownPartError("the line ends too early")
        if token[0] == '"':
            return Term("text", token[1:-1])
        if token[0].isdigit():
            return Term("value", token)
        if token in ("[", "("):
            return self._list() if token == "[" else self._bracket()
        if token in self._names:
            if (term := self._names[token]) is None:
                return Term("missing", f"{token} is left out above", token)
            if term.body is None or not self._is_synth_context():
                return term
            made = partial(term.body, synths=True)
            return replace(term, body=made) if term.kind == "function" else made() or term
        if token in ("n", "note", "up") and self._is_synth_context():
            token = SYNTH_NOTE
        if token[0].isalpha() or token[0] == "_":
            return _make_term(term_of, token)
        raise UnknownPartError(f"{token} is not read here")

    def _list(self) -> Term:
        parts, part = list[str](), Term("list", "")
        while self._peek() != "]":
            first, part = self._at, self._expression(0)
            if part.kind == "missing":
                self._left_out(first, self._at, part, part)
            else:
                parts.append(str(code_of(part)))
            if self._peek() == ",":
                self._next()
            elif self._peek() != "]":
                raise UnknownPartError("a list ends with ]")
        self._next()
        return Term("list", ", ".join(parts), given=tuple(parts)) if parts else part

    def _bracket(self) -> Term:
        operator, first = self._peek(), self._at
        if _strength(operator)[0] > 0 and operator != "-":
            self._next()
            right = Term("change", "") if self._peek() == ")" else self._expression(0)
            term = _make_term(section, operator, None, right)
            if term.kind == "missing" and right.name not in SOUNDING:
                term = self._left_out(first, self._at, term, term_of("id"))
        else:
            term = self._expression(0)
            while self._peek() == ",":
                self._next()
                term = _make_term(join_terms, ",", term, self._expression(0))
        if self._next() != ")":
            raise UnknownPartError("a bracket is not closed")
        return term


def _make_term(make: Callable[..., Term], *given: object) -> Term:
    """Calls a function that makes a term; the result is missing if an argument is, or if it cannot be made."""
    terms = [one for one in given if isinstance(one, Term)]
    name = next((one.name for one in terms if one.name), "")
    try:
        lost = next((one for one in terms if one.kind == "missing"), None)
        return replace(lost, name=name) if lost else make(*given)
    except UnknownPartError as error:
        return Term("missing", str(error), name)


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        if text[at:].isspace():
            return
        found = _TOKEN.match(text, at)
        if found is None:
            raise UnknownPartError(f"{text[at : at + 12].strip()!r} is not read here")
        at = found.end()
        yield found[0].strip()


def _strength(operator: str) -> tuple[int, str]:
    if operator in _BINDING:
        return _BINDING[operator]
    return (7, "left") if operator and operator.strip("|<>+*/=%-") == "" and "|" in operator else (0, "")
