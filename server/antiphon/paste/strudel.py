"""Translates Strudel programs: JavaScript, parsed by esprima2, to statements of a live script. Never evaluated."""

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import esprima

from antiphon.kernel.errors import UsageError
from antiphon.paste.expressions import Expressions, bound_names, declared_names, is_call_of, is_plain, is_text
from antiphon.paste.script import (
    INVALID_STATEMENT_ERRORS,
    CallChain,
    Script,
    UnknownPartError,
    indent,
    number_of,
    pack_key,
    tempo_lines,
    wrap_line,
)
from antiphon.paste.words import (
    FUNCTIONS,
    NAMELESS,
    PATTERN_FUNCTIONS,
    SETTERS,
    SILENT,
    SILENT_FUNCTIONS,
    TUPLES,
    own_name,
)

_TEMPOS = ("setcps", "setCps", "setcpm", "setCpm")
DEFAULT_CYCLES = 30.0
"""Cycles a minute of a program without a tempo."""
_SETTINGS = ("all", "each", "samples", *_TEMPOS)
"""Functions that are not patterns, also after a label."""
_OF_TEXTS = tuple(f"{name}(" for name in ("mini", *sorted(PATTERN_FUNCTIONS | TUPLES)))
_EACH = (SETTERS - {"n", "note", "s", "sound"}) | {"fast", "slow", "early", "late", "hurry"}
"""Words that change each layer of a stack for itself."""
_SILENT_WORDS = PATTERN_FUNCTIONS | TUPLES | (NAMELESS & FUNCTIONS) | {"mini"}
"""Functions whose texts make no sound. A program's own names are not among them."""
_SONIC_PI = re.compile(r"^[ \t]*(live_loop|use_bpm|use_synth|with_fx|sample|play|sleep)[ \t]+[:\d]", re.M)


def translate(text: str, script: Script) -> None:
    """Adds a program's statements to a script. Raises UsageError: it is invalid JavaScript."""
    plain = re.sub(r"\bawait\b", "     ", text)
    try:
        tree = esprima.parseModule(plain, range=True, comment=True)
    except esprima.Error as error:
        if _SONIC_PI.search(text):
            raise UsageError("programs of Sonic Pi are not translated; Sonic Pi plays Antiphon by OSC") from None
        raise UsageError(f"this is no JavaScript that can be read: {error}") from None
    except RecursionError:
        raise UsageError("this program is nested too deeply to be read") from None
    _Program(plain, script).statements(tree.body, tree.comments or ())


class _Program(Expressions):
    """One program: its statements in order."""

    def __init__(self, text: str, script: Script) -> None:
        super().__init__(text, script, self._body)
        self._numbers: dict[str, str] = {}
        self._last: list[Any] = []  # calls at the end of a track's pattern
        words = list(re.finditer(r"[\w$]+", text))
        self._first = {word[0]: word.start() for word in reversed(words)}

    def statements(self, body: Sequence[Any], comments: Sequence[Any]) -> None:
        """Translates statements; an untranslatable one becomes a comment."""
        rest = [comment for comment in comments if comment.type == "Line"]
        for node in body:
            self.names |= declared_names(node)
        for node in sorted(body, key=lambda node: not self._is_early(node)):
            while rest and rest[0].range[0] < node.range[0]:
                said = rest.pop(0).value.strip()
                if said and not re.search(r"[(){}=]", said):
                    self.script.add(f"# {said}")
            rest = [comment for comment in rest if comment.range[0] >= node.range[1]]
            first = len(self.script.lines)
            try:
                match node.type:
                    case "LabeledStatement":
                        self._translate_labelled_track(node)
                    case "VariableDeclaration":
                        for one in node.declarations:
                            self._declared(one)
                    case "FunctionDeclaration":
                        self.names.add(node.id.name)
                        self.script.add("", "", *self._function(own_name(node.id.name), node), "", "")
                    case "ExpressionStatement":
                        self._expression(node.expression)
                    case "EmptyStatement":
                        pass
                    case _:
                        raise UnknownPartError("a live script has no such statement")
                if functions := self.needed_functions():
                    self.script.lines[first:first] = ["", "", *functions, "", ""]
            except RecursionError:
                self.script.comment(self.source(node)[:200], "it is nested too deeply")
            except (UnknownPartError, *INVALID_STATEMENT_ERRORS) as error:
                self.needed_functions()
                # records names whose declaration was not translated
                self.lost |= declared_names(node)
                self.names -= declared_names(node)
                self.script.refuse(self.source(node), error)

    def _is_early(self, node: Any) -> bool:
        """True for values without names, used by functions before them."""
        return node.type == "VariableDeclaration" and all(
            one.id.type == "Identifier"
            and is_plain(one.init)
            and self._first.get(one.id.name, node.range[0]) < node.range[0]
            for one in node.declarations
        )

    def _translate_labelled_track(self, node: Any) -> None:
        name = node.label.name
        muted = name.startswith("_") or (name.endswith("_") and len(name) > 1)
        if node.body.type != "ExpressionStatement":
            raise UnknownPartError("a track is a pattern")
        if muted:  # nothing is lost
            self.script.add("# muted:", *(f"#   {line}" for line in self.source(node.body).splitlines()))
            return
        if any(is_call_of(node.body.expression, name) for name in _SETTINGS):
            self._expression(node.body.expression)
            return
        soloed = len(name) > 1 and name.startswith("S")
        tracks = self._tracks(re.sub(r"\W", "", name[soloed:].strip("$_")), node.body.expression)
        self.script.soloed += tracks if soloed else []

    def _declared(self, one: Any) -> None:
        if one.id.type != "Identifier":
            raise UnknownPartError("names are given one by one here")
        name, value = one.id.name, one.init
        self.names.add(name)
        if value is not None and is_call_of(value, "register"):
            self._register(value)
            return
        if value is not None and value.type in ("ArrowFunctionExpression", "FunctionExpression"):
            self.script.add(*self._function(own_name(name), value))
            return
        if value is None:
            shown: CallChain | str = "None"
        elif is_text(value) and not self.source(value).startswith("'"):
            called = re.escape(name)
            no_notes = re.search(rf"\b{called}\s*\.(?:pick|chord)|\bchord\(\s*{called}\b", self._text)
            shown = self.receiver(value, "" if no_notes else "note")
        else:
            shown = self.expr(value)
        if str(shown).startswith("chords("):
            self.chords.add(name)
        if re.fullmatch(r"[\d.\s()*/+-]+", str(shown)):
            self._numbers[own_name(name)] = f"({shown})"
        self.script.add(*wrap_line(f"{own_name(name)} = {shown}", shown, f"{own_name(name)} = ("))

    def _expression(self, node: Any) -> None:
        if node.type == "AssignmentExpression" and node.left.type == "Identifier":
            self.names.add(node.left.name)
            self.script.add(f"{own_name(node.left.name)} {node.operator} {self.expr(node.right)}")
            return
        called = node.callee.name if node.type == "CallExpression" and node.callee.type == "Identifier" else ""
        if called in _TEMPOS:
            tempo = self._tempo(node.arguments[0], called)
            if tempo.startswith("setc"):  # by names that stand before it
                self.script.add(tempo)
            else:
                self.script.tempo = tempo
        elif called in ("all", "each"):
            self.script.everything.append(str(self.expr(node.arguments[0])))
        elif called == "samples":
            self._samples(node)
        elif called == "register":
            self._register(node)
        elif called in SILENT_FUNCTIONS:
            self.script.add(*(f"# {line}" for line in self.source(node).splitlines()))
        elif node.type == "Literal" and "use strict" in str(node.value):
            pass
        elif node.type == "Identifier" and node.name in self.names:
            self.script.track("", own_name(node.name))
        elif node.type != "CallExpression" and not is_text(node):
            raise UnknownPartError("it is no pattern")
        else:
            self._tracks("", node)

    def _samples(self, node: Any) -> None:
        """Reports whether the named pack is in the library, or else how to add it."""
        given = node.arguments[0].value if node.arguments and node.arguments[0].type == "Literal" else ""
        shown = " ".join(self.source(node).split())
        if not isinstance(given, str) or not given:
            self.script.comment(self.source(node), "sounds are folders of the sampler's library; none are fetched")
        elif pack_key(given) in self.script.packs:
            self.script.add(f"# {shown}: these sounds are in your library")
        else:
            self.script.comment(self.source(node), f"`antiphon sounds add {shlex.quote(given)}` brings these sounds")

    def _tracks(self, name: str, node: Any) -> list[str]:
        """Adds a track for a pattern, or for each layer of a stack; returns their names."""
        shown = self._pattern(node)
        head, layers = self.stacked[0], [layer for layer in self.stacked[1] if str(layer) != "silence()"]
        if not isinstance(shown, CallChain) or shown.head != head or not _EACH.issuperset(_words(shown.links)):
            return [self.script.track(name, shown)]
        if len(layers) < 2 or any(_is_nameless(layer) for layer in layers):
            return [self.script.track(name, shown)]
        chains = [layer if isinstance(layer, CallChain) else CallChain(layer) for layer in layers]
        return [self.script.track(name, CallChain(one.head, (*one.links, *shown.links))) for one in chains]

    def _pattern(self, node: Any) -> CallChain | str:
        self._last, link = [], node
        while link.type == "CallExpression" and link.callee.type == "MemberExpression":
            self._last.append(link)
            if link.callee.property.name not in SETTERS | SILENT:  # the tempo of what stands before changes times
                break
            link = link.callee.object
        shown = self._item(node)
        if _is_nameless(shown):
            raise UnknownPartError("it names no sound, and Strudel plays nothing of it; end it with .note() or .s()")
        return shown

    def _tempo(self, node: Any, called: str) -> str:
        text, factor = str(self.expr(node)), 60.0 if "cps" in called.lower() else 1.0
        value = re.sub(r"[A-Za-z_]\w*", lambda name: self._numbers.get(name[0], name[0]), text)
        if not re.fullmatch(r"[\d.\s()*/+-]+", value):
            return f"{'' if called.startswith('set') else 'set'}{called.lower()}({text})"
        return tempo_lines(number_of(value) * factor)

    def _method(self, node: Any) -> CallChain | str:
        """Method call; `cpm` of a pattern is the program's tempo if there is no other."""
        called = node.callee.property.name
        if called == "take" and self._is_whole(node):
            return self.receiver(node.callee.object)
        if called not in ("cpm", "cps") or not node.arguments:
            return super()._method(node)
        pattern, tempo = self.receiver(node.callee.object), self._tempo(node.arguments[0], called)
        if not tempo.startswith(("tempo", "meter")):
            self.script.drop(f".{called}({self.source(node.arguments[0])})", "the script has one tempo")
        elif called == "cps" or (self.script.tempo in ("", tempo) and node in self._last):
            self.script.tempo = tempo
        else:
            factor = _cycles(tempo) / (_cycles(self.script.tempo) if self.script.tempo else DEFAULT_CYCLES)
            return pattern.with_link(f".fast({factor:.6g})") if factor != 1 else pattern
        return pattern

    def _is_whole(self, node: Any) -> bool:
        """True for `take` of all cycles of its `arrange`."""
        root = node
        while root.type == "CallExpression" and root.callee.type == "MemberExpression":
            root = root.callee.object
        if not is_call_of(root, "arrange"):
            return False
        cycles = " + ".join(str(self.expr(one.elements[0])) for one in root.arguments)
        return number_of(cycles) <= number_of(str(self.expr(node.arguments[0])))

    def _register(self, node: Any) -> None:
        word, function = node.arguments[0].value, node.arguments[1]
        if not isinstance(word, str) or function.type not in ("ArrowFunctionExpression", "FunctionExpression"):
            raise UnknownPartError("a word is registered by a name and a function")
        made = self._function(own_name(word), function)
        self.words[word] = own_name(word)
        self.script.add("", "", *made, "", "")

    def _function(self, name: str, node: Any) -> list[str]:
        before = set(self.names)
        self.names |= set(bound_names(node.params))
        try:
            return [f"def {name}({self.parameters(node.params)}):", *indent(self._body(node.body))]
        finally:
            self.names = before

    def _body(self, node: Any) -> list[str]:
        if node.type == "BlockStatement":
            return self._block(node) if node.body else ["return None"]
        returned = f"return {self.expr(node)}"
        return [*self.needed_functions(), returned]

    def _inner(self, node: Any) -> Iterator[str]:
        """Yields the lines of a statement inside a function."""
        match node.type:
            case "ReturnStatement":
                yield "return None" if node.argument is None else f"return {self.expr(node.argument)}"
            case "VariableDeclaration":
                for one in node.declarations:
                    if one.id.type != "Identifier":
                        raise UnknownPartError("names are given one by one here")
                    yield f"{own_name(one.id.name)} = {'None' if one.init is None else self.expr(one.init)}"
                    self.names.add(one.id.name)
            case "ExpressionStatement" if self.source(node).startswith("console."):
                return
            case "ExpressionStatement" if node.expression.type == "AssignmentExpression":
                one = node.expression
                yield f"{self.expr(one.left)} {one.operator} {self.expr(one.right)}"
            case "IfStatement":
                yield f"if {self.expr(node.test)}:"
                yield from indent(self._block(node.consequent))
                if node.alternate is not None:
                    yield "else:"
                    yield from indent(self._block(node.alternate))
            case "ForOfStatement":
                if node.left.type != "VariableDeclaration":
                    raise UnknownPartError("a live script has no such loop")
                self.names.add(node.left.declarations[0].id.name)
                yield f"for {own_name(node.left.declarations[0].id.name)} in {self.expr(node.right)}:"
                yield from indent(self._block(node.body))
            case _:
                raise UnknownPartError("a live script has no such statement")

    def _block(self, node: Any) -> list[str]:
        lines: list[str] = []
        for one in node.body if node.type == "BlockStatement" else [node]:
            made = list(self._inner(one))
            lines += [*self.needed_functions(), *made]
        return lines or ["pass"]


def _words(links: Sequence[str]) -> Iterator[str]:
    """Words of some links."""
    return (re.split(r"\W", link.lstrip("."), maxsplit=1)[0] for link in links)


def _cycles(tempo: str) -> float:
    """Cycles a minute that the lines setting a tempo give."""
    *meter, beats = (float(figure) for figure in re.findall(r"[\d.]+", tempo))
    return beats / (meter[0] if meter else 4.0)


def _is_nameless(pattern: CallChain | str) -> bool:
    """True for texts without a word that names a sound: Strudel does not play them."""
    code = re.sub(r'"(?:[^"\\]|\\.)*"', "", str(pattern))
    methods, words = re.findall(r"\.([A-Za-z_]\w*)", code), re.findall(r"(?<![.\w])[A-Za-z_]\w*", code)
    return code.startswith(_OF_TEXTS) and NAMELESS.issuperset(methods) and _SILENT_WORDS.issuperset(words)
