"""Translates JavaScript expressions to Python: literals, calls, method chains, functions.

A program's declarations are known by name; every other name is a word of live scripts, or has no counterpart.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.paste import words
from antiphon.paste.script import CallChain, Script, UnknownPartError, indent, name_of, quote
from antiphon.paste.words import (
    FUNCTIONS,
    METHODS,
    SETTERS,
    SIGNALS,
    SILENT,
    STRUDEL,
    UNSUPPORTED_WORDS,
    VALUE_NAMES,
    own_name,
)

# ---- Queries on nodes of a JavaScript syntax tree, and short texts of them

ARITHMETIC = frozenset({"add", "sub", "mul", "div", "set", "mod", "pow", "keep", "eq", "ne", "lt", "gt", "lte", "gte"})
JOINS = frozenset({"in", "out", "mix", "squeeze", "squeezeout", "reset", "restart"})
"""Ways to join the times of two patterns, such as in `.add.out(…)`."""

MATH = {"PI": "math.pi", "E": "math.e", **{name: name for name in ("round", "abs", "min", "max")}} | {
    name: f"math.{name}"
    for name in ("floor", "ceil", "sin", "cos", "tan", "sqrt", "exp", "log", "log2", "pow", "trunc")
}
"""Python's names for those in `Math`."""


def literal(node: Any) -> str:
    """Converts a value other than text. Raises UnknownPartError: it is a regular expression, or another such value."""
    if isinstance(node.value, bool) or (node.value is None and node.raw == "null"):
        return str(node.value)
    if isinstance(node.value, int | float):
        whole = float(node.value).is_integer() and abs(node.value) < 1e15
        return str(int(node.value)) if whole else repr(float(node.value))
    raise UnknownPartError("a live script has no such value")


def ducked_orbits(text: str) -> set[str]:
    """Orbits that a program ducks."""
    return {orbit for found in re.findall(r"\bduck(?:orbit)?\(([^)]*)", text) for orbit in re.findall(r"\d+", found)}


def is_arithmetic(node: Any) -> bool:
    """True for the `p.add` of `p.add.out(…)`."""
    return bool(node.type == "MemberExpression" and not node.computed and node.property.name in ARITHMETIC)


def euclid(nodes: Sequence[Any]) -> str:
    """Euclidean rhythm as a text; "" for a computed one."""
    plain = [str(one.value) for one in nodes if one.type == "Literal"]
    return quote(words.plain(f"t({','.join(plain)})")) if len(plain) > 1 else ""


def is_text(node: Any) -> bool:
    return node.type == "TemplateLiteral" or (node.type == "Literal" and isinstance(node.value, str))


def polymeter(nodes: Sequence[Any]) -> str:
    """Texts, or lists of steps, as one mini-notation text; "" for others."""
    lists = [one.elements if one.type == "ArrayExpression" else [one] for one in nodes]
    if not lists or any(step.type != "Literal" for steps in lists for step in steps):
        return ""
    texts = [" ".join(str(step.value) for step in steps) for steps in lists]
    counts = [len(text.split()) for text in texts]
    steps = counts[0] if nodes[0].type == "ArrayExpression" else math.lcm(*counts)
    return f"{{{', '.join(texts)}}}%{steps}" if re.fullmatch(r"[\w#. -]+", "".join(texts)) else ""


def bound_names(params: Sequence[Any]) -> Iterator[str]:
    for one in params:
        named = one.left if one.type == "AssignmentPattern" else one
        if named.type == "Identifier":
            yield named.name


def declared_names(node: Any) -> set[str]:
    """Names that a statement declares."""
    each = [node] if node.type == "FunctionDeclaration" else node.declarations or ()
    return {one.id.name for one in each if one.id.type == "Identifier"}


def is_plain(node: Any) -> bool:
    """True for a number, a text, or a list of them."""
    if node is None or node.type != "ArrayExpression":
        return node is not None and node.type == "Literal"
    return all(is_plain(one) for one in node.elements)


def is_call_of(node: Any, name: str) -> bool:
    return bool(node.type == "CallExpression" and node.callee.type == "Identifier" and node.callee.name == name)


def key_of(name: str) -> str:
    """Name of a value; empty here for an unnamed one."""
    return "" if name == "value" else name


def as_tuple(shown: str) -> str:
    return f"({shown[1:-1]})" if shown.startswith("[") and shown.endswith("]") else shown


def missing_reason(name: str) -> str:
    """Reason why a word has no counterpart, as the end of a sentence; "" if unknown."""
    return f"; {UNSUPPORTED_WORDS[name]}" if name in UNSUPPORTED_WORDS else ""


# ---- JavaScript expressions to Python: literals, calls, method chains, functions

_OPERATORS = {one: one for one in ("**", "==", "!=", "<=", ">=", "<<", ">>", *"+-*/%<>|&^")}
_OPERATORS |= {"===": "==", "!==": "!=", "&&": "and", "||": "or", "??": "or"}
_OF_TEXTS = {"endsWith": "endswith", "startsWith": "startswith", "toLowerCase": "lower", "push": "append"}
_OCTAVE = ".in_octave(3)"
"""Octave of picked note names, which Strudel reads in the third octave."""
_DUCKED = '.set(on="ducked")'
_ORBITS = ("orbit", "o")
_LINKS = {"innerJoin": ".bind(lambda p: p)", "piano": '.s("piano")'}
_OF_VALUES = {"withValue": "map", "fmap": "map", "filterValues": "filter"}
_CALCULATES = re.compile(r"\b(?:add|sub|mul|div|mod|map)\b")
_LETTER = re.compile(r'"[a-gA-G][#b]?"')
_ECHOES = ("echo", "stut")
_ECHOES_WITH = ("echoWith", "echowith", "stutWith", "stutwith")
STEPWISE: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "contract": lambda count, n: count / n,
    "drop": lambda count, n: count - n,
    "expand": lambda count, n: count * n,
    "extend": lambda count, n: count * n,
    "pace": lambda count, n: n,
    "take": lambda count, n: min(count, n),
}
"""Steps that Strudel's stepwise words leave of so many."""
_SOUNDS = re.compile(r"\b(?:s|sound|note)\(")
_NOTHING = {"silence": "silence()", "undefined": "None", "null": "None"}
_CHOICES = ("ArrayExpression", "ObjectExpression")
_TYPES = {"object": "(dict, list)", "string": "str", "number": "int | float", "boolean": "bool"}
MAX_EXPRESSIONS = 100_000
"""Maximum translated expressions of a program, counting repeats: nested functions are translated twice a level."""


class Expressions:
    """Translator of expressions within one program.

    `names`: names that the program has declared so far. `lost`: names whose declarations are left out. `chords`: names
    of chords. `stacked`: the last stack, and its layers.
    """

    def __init__(self, text: str, script: Script, body: Callable[[Any], list[str]]) -> None:
        """body: gives the lines of a function's body."""
        self._text, self.script, self._lines_of = text, script, body
        self._ducked = ducked_orbits(text)
        self.words: dict[str, str] = {}
        self.names: set[str] = set()
        self.lost: set[str] = set()
        self.chords: set[str] = set()
        self._ahead: list[str] = []
        self._functions = self._translated = 0
        self._scale = ""
        self.stacked: tuple[str, list[CallChain | str]] = ("", [])

    def needed_functions(self) -> list[str]:
        """Functions that the expressions since the last call need."""
        lines, self._ahead = self._ahead, []
        return lines

    def source(self, node: Any) -> str:
        """Source text of a node."""
        return self._text[node.range[0] : node.range[1]]

    def parameters(self, params: Sequence[Any]) -> str:
        shown = []
        for one in params:
            if one.type == "Identifier":
                shown.append(own_name(one.name))
            elif one.type == "AssignmentPattern" and one.left.type == "Identifier":
                shown.append(f"{own_name(one.left.name)}={self.expr(one.right)}")
            else:
                raise UnknownPartError("a function takes plain names")
        return ", ".join(shown)

    def expr(self, node: Any, kind: str = "") -> CallChain | str:
        """Translates an expression; `kind` is the word that takes it. Raises `UsageError` for too large a program."""
        self._translated += 1
        if self._translated > MAX_EXPRESSIONS:
            raise UsageError("this program is too large to be translated")
        match node.type:
            case "Literal" if not is_text(node):
                return literal(node)
            case "Literal" | "TemplateLiteral":
                return self.text_of(node, kind)
            case "Identifier":
                return self._identifier(node.name)
            case "CallExpression":
                callee = node.callee
                if callee.type == "MemberExpression" and not callee.computed:
                    return self._method(node)
                if callee.type == "Identifier":
                    return self._function_call(callee.name, node, kind)
                return f"({self.expr(callee)})({self._arguments(node.arguments, '')})"
            case "MemberExpression":
                return self._translate_member(node)
            case "ArrowFunctionExpression" | "FunctionExpression":
                return self._translate_function(node)
            case "ArrayExpression":
                return f"[{', '.join(str(self.expr(one, kind)) for one in node.elements)}]"
            case "ObjectExpression":
                return self._translate_object(node)
            case "UnaryExpression" if node.operator in ("-", "+", "!"):
                return f"{'not ' if node.operator == '!' else node.operator}{self._translate_operand(node.argument)}"
            case "BinaryExpression" | "LogicalExpression":
                if (operator := _OPERATORS.get(node.operator)) is None:
                    raise UnknownPartError(f"a live script has no {node.operator}")
                if operator in ("==", "!=") and (test := self._find_tested_name(node)):
                    return test if operator == "!=" else f"(not {test})"
                return f"{self._translate_operand(node.left)} {operator} {self._translate_operand(node.right)}"
            case "ConditionalExpression":
                return f"({self.expr(node.consequent)} if {self.expr(node.test)} else {self.expr(node.alternate)})"
            case "SpreadElement":
                return f"*{self.expr(node.argument)}"
            case _:
                raise UnknownPartError("a live script has no such expression")

    def _translate_operand(self, node: Any) -> str:
        shown = str(self.expr(node))
        kinds = ("BinaryExpression", "LogicalExpression", "ArrowFunctionExpression", "UnaryExpression")
        return f"({shown})" if node.type in kinds else shown

    def text_of(self, node: Any, kind: str) -> str:
        if node.type == "TemplateLiteral":
            if node.expressions:
                texts = [
                    words.convert_word_text(one.value.cooked, kind).replace("{", "{{").replace("}", "}}")
                    for one in node.quasis
                ]
                return f"{quote('{}'.join(texts))}.format({self._arguments(node.expressions, '')})"
            text = node.quasis[0].value.cooked
        else:
            text = node.value
        return quote(words.convert_word_text(text, kind))

    def _identifier(self, name: str) -> str:
        if name in self.names or name in self.words:
            return own_name(name)
        if name in _NOTHING:
            return _NOTHING[name]
        word = STRUDEL.get(name, name)
        if word in SIGNALS or word in FUNCTIONS or word in METHODS:
            return name_of(word)
        if name in self.lost:
            raise UnknownPartError(f"{name} is left out above")
        raise UnknownPartError(f"there is no {name} here{missing_reason(name)}")

    def _translate_object(self, node: Any) -> str:
        pairs = []
        for one in node.properties:
            if one.type == "SpreadElement":
                pairs.append(f"**{self.expr(one.argument)}")
                continue
            if one.type != "Property" or one.computed:
                raise UnknownPartError("an object has plain names")
            key = one.key.name if one.key.type == "Identifier" else str(one.key.value)
            pairs.append(f"{quote(key_of(key))}: {self.expr(one.value)}")
        return "{" + ", ".join(pairs) + "}"

    def _translate_function(self, node: Any) -> str:
        """Translates a function: to a lambda for a single expression, else to one defined before the statement."""
        before, outer = set(self.names), self.needed_functions()
        self.names |= set(bound_names(node.params))
        try:
            parameters, lines = self.parameters(node.params), self._lines_of(node.body)
        finally:
            self.names = before
            self._ahead = outer
        if len(lines) == 1 and lines[0].startswith("return "):
            return f"lambda {parameters}: {lines[0].removeprefix('return ')}"
        self._functions += 1
        self._ahead += [f"def change{self._functions}({parameters}):", *indent(lines)]
        return f"change{self._functions}"

    def _translate_member(self, node: Any) -> CallChain | str:
        if node.computed:
            return f"{self.expr(node.object)}[{self.expr(node.property)}]"
        if node.object.type == "Identifier" and node.object.name == "Math":
            return self._translate_math(node.property.name)
        if node.property.name == "length":
            return f"len({self.expr(node.object)})"
        shown = self.receiver(node.object)
        if node.object.type == "CallExpression" and node.object.callee.name not in self.names:
            self.script.drop(f".{node.property.name}", "a pattern has no such part; a word has brackets behind it")
            return shown
        return f"{shown}[{quote(key_of(node.property.name))}]"

    def _find_tested_name(self, node: Any) -> str:
        """Name that `v.note !== undefined` or `typeof v !== "object"` tests; "" for another test."""
        undefined = node.right.type == "Identifier" and node.right.name == "undefined"
        if node.left.type == "MemberExpression" and undefined:
            shown = str(self.expr(node.left.object))
            if len(shown) > 1000:
                raise UnknownPartError("what is tested is too long")
            return f"(isinstance({shown}, dict) and {quote(key_of(node.left.property.name))} in {shown})"
        if node.left.type == "UnaryExpression" and node.left.operator == "typeof" and node.right.value in _TYPES:
            return f"(not isinstance({self.expr(node.left.argument)}, {_TYPES[node.right.value]}))"
        return ""

    def receiver(self, node: Any, link: str = "") -> CallChain:
        """Translates the receiver of a method call to a pattern; text is converted."""
        if is_text(node):
            text = node.value if node.type == "Literal" else "".join(one.value.cooked for one in node.quasis)
            kind = "note" if link in ("note", "add", "sub") and words.is_notes(text) else ""
            return CallChain(f"mini({self.text_of(node, kind)})")
        if is_arithmetic(node):
            return CallChain(f"{self.receiver(node.object)}.{node.property.name}")
        shown = self.expr(node)
        if isinstance(shown, CallChain):
            return shown
        wrapped = node.type not in ("Identifier", "CallExpression", "MemberExpression", "ArrayExpression")
        return CallChain(f"pure({shown})" if node.type == "Literal" else f"({shown})" if wrapped else shown)

    def _function_call(self, name: str, node: Any, kind: str) -> CallChain | str:
        if name in self.names or name in self.words:
            return CallChain(f"{own_name(name)}({self._translate_arguments(node.arguments)})")
        if name == "note" and node.arguments:
            return self._translate_note(node)
        if name == "chord":
            return CallChain(f"chords({self._arguments(node.arguments, 'chord')})")
        if name in ("polymeter", "pm") and (text := polymeter(node.arguments)):
            return CallChain(f"mini({quote(words.convert_word_text(text, kind))})")
        if name == "squeeze" and len(node.arguments) == 2:
            return CallChain(f"{self.receiver(node.arguments[0])}.pickmod_squeeze({self.expr(node.arguments[1])})")
        if name == "xfade" and len(node.arguments) == 3:
            return self._fade(*map(self.receiver, node.arguments))
        if name == "mini" or name == "m":
            return CallChain(f"mini({self._arguments(node.arguments[:1], kind)})")
        word = STRUDEL.get(name, name)
        if word not in FUNCTIONS and word not in METHODS:
            raise UnknownPartError(f"there is no {name} here{missing_reason(name)}")
        if name[:4] == "pick" and name[-1] != "F" and len(node.arguments) == 2:  # choices stand on either side
            choices, picks = sorted(node.arguments, key=lambda one: (one.type not in _CHOICES, is_text(one)))
            return CallChain(f"{self.receiver(picks)}.{name_of(word)}({self.expr(choices)})")
        if name in ARITHMETIC and (named := self._named_value(node.arguments)):
            return f"lambda p: p.{name}({named})"
        if word not in FUNCTIONS or word in words.OF_CHANGES:
            return f"lambda p: p.{name_of(word)}({self._arguments(node.arguments, name)})"
        if name == "slider" and (reach := [one.value for one in node.arguments[:3] if one.type == "Literal"])[2:]:
            return CallChain(f"slider({reach[0]}, {min(reach):g}, {max(reach):g})")
        if name in words.TUPLES:
            shown = ", ".join(map(self._translate_weighted, node.arguments))
        elif name in words.PATTERN_FUNCTIONS and not node.arguments:
            return CallChain("silence()")
        elif name in words.PATTERN_FUNCTIONS:
            items = self._items(node.arguments)
            shown = ", ".join(map(str, items))
            if name == "stack":
                self.stacked = f"stack({shown})", items
        else:
            shown = self._arguments(node.arguments[:3] if name == "slider" else node.arguments, name)
        return CallChain(f"{name_of(word)}({shown})")

    def _item(self, node: Any) -> CallChain | str:
        """Translates an argument of `stack` and similar words, where text is a pattern."""
        return self.receiver(node) if is_text(node) else self.expr(node)

    def _translate_weighted(self, node: Any) -> str:
        """Translates a pair of a number and a pattern, or a pattern alone, which has the weight of its steps."""
        if node.type == "ArrayExpression":
            return f"({', '.join(str(self._item(one)) for one in node.elements)})"
        steps, shown = self.steps(node), self._item(node)
        return as_tuple(str(self.expr(node))) if steps is None else f"({steps}, {shown})"

    def steps(self, node: Any) -> Fraction | None:
        """Steps of a pattern that is a text with changes, by which stepwise words count; None for others."""
        links = list[tuple[str, Any]]()
        while node.type == "CallExpression" and node.callee.type == "MemberExpression":
            links.append((node.callee.property.name, node.arguments))
            node = node.callee.object
        if node.type == "CallExpression" and node.callee.type == "Identifier" and len(node.arguments) == 1:
            node = node.arguments[0]
        if not is_text(node) or (node.type == "TemplateLiteral" and node.expressions):
            return None
        count = words.count_steps(node.value if node.type == "Literal" else node.quasis[0].value.cooked)
        for name, given in reversed(links):
            factor = given[0].value if given and given[0].type == "Literal" else None
            if name in STEPWISE and isinstance(factor, int | float) and factor > 0:
                count = STEPWISE[name](count, Fraction(factor).limit_denominator(1000))
        return count

    def _items(self, nodes: Sequence[Any]) -> list[CallChain | str]:
        """Translates arguments of `stack` and similar words; a text beside sounds becomes silence, as in Strudel."""
        shown, texts = [self._item(one) for one in nodes], [one for one in nodes if is_text(one)]
        if not texts or not any(map(_SOUNDS.search, map(str, shown))):
            return shown
        self.script.drop(", ".join(map(self.source, texts)), "it names no sound; end it with .note() or .s()")
        return ["silence()" if node in texts else one for node, one in zip(nodes, shown, strict=True)]

    def _translate_note(self, node: Any) -> CallChain | str:
        """Translates `note(…)`; changes of a text with note names follow it."""
        one = node.arguments[0]
        root, picks = one, False
        while root.type == "CallExpression" and root.callee.type == "MemberExpression":
            picks |= str(root.callee.property.name).startswith("pick")
            root = root.callee.object
        if root is not one and is_text(root) and not picks:
            inner = self.expr(one)
            if isinstance(inner, CallChain) and inner.head.startswith("mini(") and words.is_notes(str(root.value)):
                head = self.text_of(root, "note")
                if _CALCULATES.search("".join(inner.links)):  # with numbers, before they are notes
                    return CallChain(f"note({CallChain(f'mini({head})', inner.links)})")
                return CallChain(f"note({head})", inner.links)
        shown = self.expr(one, "note")
        picked = ".pick" in str(shown) or _LETTER.search(str(shown))
        return CallChain(f"note({shown}{_OCTAVE if picked else ''})")

    def _method(self, node: Any) -> CallChain | str:
        callee, name = node.callee, node.callee.property.name
        if callee.object.type == "Identifier" and callee.object.name == "Math" and "Math" not in self.names:
            return f"{self._translate_math(name)}({self._arguments(node.arguments, '')})"
        if name == "isArray":
            return f"isinstance({self._arguments(node.arguments, '')}, list)"
        if name == "substring":
            return f"{self.expr(callee.object)}[{' : '.join(str(self.expr(one)) for one in node.arguments)}]"
        if name == "xfade" and len(node.arguments) == 2:
            return self._fade(*map(self.receiver, (callee.object, *node.arguments)))
        if is_arithmetic(callee.object) and name in JOINS:
            return CallChain(f"{self.receiver(callee.object)}.{name_of(name)}({self._arguments(node.arguments, '')})")
        if name in _OF_TEXTS:
            return f"{self.expr(callee.object)}.{_OF_TEXTS[name]}({self._arguments(node.arguments, '')})"
        if name == "map" and node.arguments:
            given, function = self.expr(callee.object), self.expr(node.arguments[0])
            if len(node.arguments[0].params or ()) == 2:
                return f"[({function})(value, at) for at, value in enumerate({given})]"
            return f"list(map({function}, {given}))"
        chain = self.receiver(callee.object, name)
        outer = self._scale
        self._scale = next((link[7:-1] for link in reversed(chain.links) if link.startswith(".scale(")), outer)
        orbit = self.source(node.arguments[0]).strip("\"'`") if name in _ORBITS and node.arguments else "0"
        silent = name in SILENT or (name.lstrip("_") in SILENT and name.startswith("_"))
        if silent and orbit not in self._ducked and (orbit.isdigit() or not self._ducked):
            return chain
        try:
            if name == "scale" and chain.head.startswith("note(") and not words.is_notes(chain.head[5:]):
                chain = CallChain(f"n({chain.head[5:]}", chain.links)  # numbers are degrees
            link = _DUCKED if orbit in self._ducked else self._link(name, node) + words.ROUTES.get(name, "")
            if ".set(on=" in link and any(".set(on=" in one for one in chain.links):
                raise UnknownPartError("what goes through the phaser is not ducked here")
            if link == ".note()" and (
                not chain.head.startswith("mini(") or ".pick" in str(chain) or '("{' in chain.head
            ):
                link = f"{_OCTAVE}{link}"
            return chain.with_link(link)
        except UnknownPartError as error:
            self.script.drop(f".{name}({', '.join(self.source(one) for one in node.arguments)})", str(error))
            return chain
        finally:
            self._scale = outer

    def _link(self, name: str, node: Any) -> str:
        if name in self.words:
            given = ", ".join(filter(None, [self._translate_arguments(node.arguments), "pattern_"]))
            return f".apply(lambda pattern_: {own_name(name)}({given}))"
        if name == "as" and is_text(node.arguments[0]):
            names = str(node.arguments[0].value).split(":")
            return f".as_({quote(':'.join(VALUE_NAMES.get(one, one) for one in names))})"
        if name in _OF_VALUES:
            return f".listed().{_OF_VALUES[name]}({self._arguments(node.arguments[:1], name)})"
        if name == "set" and (self.source(one := node.arguments[0]) in self.chords or is_call_of(one, "chord")):
            return f".set({self.receiver(one)}.chord())"
        if name == "swing":
            return f".swing_by(1 / 3, {self.expr(node.arguments[0])})"
        if name in SETTERS and not node.arguments and name not in ("n", "note", "s", "sound", "chord"):
            return f"{'.mul(127)' * (VALUE_NAMES.get(name) == 'velocity')}.as_({quote(VALUE_NAMES.get(name, name))})"
        if name in _LINKS:
            return _LINKS[name]
        if name == "voicings":  # of the one dictionary that is here
            return ".voicing()"
        if name in _ECHOES and len(node.arguments) == 3 and (echo := self._echo(name, node.arguments)):
            return echo
        if name in _ECHOES_WITH and len(node.arguments) == 3:
            times, cycles, change = node.arguments
            shown = str(self.expr(change))
            if len(change.params or ()) < 2:  # once for each echo, in Strudel
                shown = f"lambda p, k: ({shown})(p)"
            return f".echo_with({self.expr(times)}, {self.expr(cycles)}, {shown})"
        if name == "bjork" and node.arguments[0].type == "ArrayExpression":
            return f".struct({euclid(node.arguments[0].elements[:3])})"
        if name == "filter" and ".value" in self.source(node):
            test = re.sub(r'\[""\]\["(\w+)"\]', r'[""].get("\1")', str(self.expr(node.arguments[0])))
            return f'.filter(lambda value: ({test})({{"": value}}))'
        if name in ("scaleTranspose", "scaleTrans", "strans") and self._scale:
            return f".scaleTranspose({self._arguments(node.arguments[:1], name)}, {self._scale})"
        if name in STEPWISE and (link := self._stepwise(name, node)) is not None:
            return link
        if name in _ORBITS:
            raise UnknownPartError("only an orbit that is a number is ducked here")
        if VALUE_NAMES.get(name) == "velocity":
            return self._velocity(node)
        if name in ARITHMETIC and (named := self._named_value(node.arguments)):
            return f".{name}({named})"
        if name == "euclid" and (text := euclid(node.arguments[:2])):
            return f".struct({text})"
        if name == "within" and any(is_text(one) for one in node.arguments):
            raise UnknownPartError("its places are numbers")
        if name == "within" and len(node.arguments) == 3:  # with what begins at the second place
            begin, end = (self._translate_operand(one) for one in node.arguments[:2])
            return f".within({begin}, {end} + 1 / 1000, {self.expr(node.arguments[2])})"
        word = STRUDEL.get(name, name)
        if word not in METHODS:
            raise UnknownPartError(f"a pattern has no {name} here{missing_reason(name)}")
        shown = self._arguments(node.arguments[:1] if SETTERS & {name, word} else node.arguments, name)
        return f".{name_of(word)}({words.convert_word_text(shown, name) if words.is_number(shown) else shown})"

    def _fade(self, one: CallChain, place: CallChain, other: CallChain) -> CallChain:
        """Both patterns, each at its level for a place between them, 0 to 1."""
        out, back = (f"seq({place}).map(lambda x: min(1, {fade}))" for fade in ("2 - 2 * x", "2 * x"))
        return CallChain(f"stack({one}.mul(gain={out}), {other}.mul(gain={back}))")

    def _stepwise(self, name: str, node: Any) -> str | None:
        """Link of a word that counts the steps of its pattern; None if they are not known."""
        count, given = self.steps(node.callee.object), node.arguments[0] if node.arguments else None
        number = str(self.expr(given)).strip('"') if given is not None else ""
        if count is None or not re.fullmatch(r"-?[\d.]+", number):
            return None
        n = Fraction(number)
        match name:
            case "expand" | "contract":  # heard beside others alone
                return ""
            case "extend":
                return f".fast({number})"
            case "pace":
                return f".fast({number} / {count})"
            case "drop":
                n = count + n if n < 0 else n - count
        if not n or abs(n) >= count:
            return "" if n else None
        return f".zoom(0, {n / count})" if n > 0 else f".zoom({1 + n / count}, 1)"

    def _echo(self, name: str, nodes: Sequence[Any]) -> str:
        """Echoes by `gain`, as in Strudel; "" for arguments that are patterns."""
        times, cycles, feedback = nodes if name == "echo" else (nodes[0], nodes[2], nodes[1])
        if any(map(is_text, nodes)):
            return ""
        gain = f"{self._translate_operand(feedback)} ** k"
        return f".echo_with({self.expr(times)}, {self.expr(cycles)}, lambda p, k: p.gain({gain}))"

    def _named_value(self, nodes: Sequence[Any]) -> str:
        """Translates the argument `speed(2)` to a keyword argument `speed=2`; "" for another."""
        if len(nodes) != 1 or nodes[0].type != "CallExpression" or nodes[0].callee.type != "Identifier":
            return ""
        name, given = STRUDEL.get(nodes[0].callee.name, nodes[0].callee.name), nodes[0].arguments
        if VALUE_NAMES.get(name) == "velocity" or name == "vel":
            raise UnknownPartError(f"{name} is a word of its own here, .{name}(…)")
        return f"{name_of(name)}={self.expr(given[0], name)}" if name in SETTERS and len(given) == 1 else ""

    def _velocity(self, node: Any) -> str:
        one = node.arguments[0]
        if one.type == "Literal":
            shown = words.scale_numbers(str(one.value), 127)
            return f".velocity({quote(shown) if isinstance(one.value, str) else shown})"
        return f".velocity(seq({self.expr(one)}).mul(127).clamp(1, 127))"

    def _translate_math(self, name: str) -> str:
        if name not in MATH:
            raise UnknownPartError(f"there is no Math.{name} here")
        if "." in MATH[name]:
            self.script.imports.add("math")
        return MATH[name]

    def _arguments(self, nodes: Sequence[Any], name: str) -> str:
        return ", ".join(str(self.expr(one, name)) for one in nodes)

    def _translate_arguments(self, nodes: Sequence[Any]) -> str:
        """Translates the arguments of a program's own function; text in double quotation marks is a pattern."""
        return ", ".join(str(self.expr(one) if self.source(one)[0] == "'" else self._item(one)) for one in nodes)
