"""Reader of a live script: runs its file once, to collect its declarations."""

import ast
import os
from fractions import Fraction
from types import SimpleNamespace

from antiphon import live
from antiphon.kernel.errors import UsageError
from antiphon.live.faults import fault_in_script
from antiphon.live.patterns.dialects import begin_dialect
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.queries import chance, stream_of
from antiphon.live.patterns.spans import ScriptPlaces
from antiphon.live.records import LiveEvent, LiveNote, ScriptError
from antiphon.live.stage import LiveScript, on_stage
from antiphon.live.transitions import silence_muted

MAX_LETTERS = 1 << 20
"""Maximum characters of a script."""
MAX_SETTINGS = 4096


class _ReadingStage:
    """Stage of the words while the script is read; see `Stage`."""

    def __init__(self, script: LiveScript) -> None:
        self.script = script
        self.beat = Fraction(0)
        self.source = self.on = ""
        self.memory = SimpleNamespace()
        self.turn = 0
        self._draws = 0

    def send(self, event: LiveEvent | LiveNote, rank: int) -> None:
        if isinstance(event, LiveNote) or event.address.endswith("/play"):
            raise UsageError("notes are played in a loop or by a track: write @loop above a function that plays them")
        if len(self.script.settings) >= MAX_SETTINGS:
            raise UsageError(f"a script sets at most {MAX_SETTINGS} values at its beginning")
        self.script.settings.append(event)

    def random(self) -> float:
        self._draws += 1
        return chance(self.script.seed, stream_of("") + self._draws, Fraction(0))

    def cue(self, name: str, value: object) -> None:
        raise UsageError("cue stands in a loop: nothing waits while the script is read")

    def seconds(self, beats: Fraction) -> float:
        raise UsageError("ramp stands in a loop: at the beginning, set the value")


class _PatternStatementRefuser(ast.NodeTransformer):
    """Makes each expression statement refuse a pattern, since no track would play it."""

    def visit_Expr(self, statement: ast.Expr) -> ast.Expr:
        if isinstance(value := statement.value, ast.Call | ast.BinOp):
            text = ast.Constant(ast.unparse(value).replace("'", '"')[:60])
            statement.value = ast.Call(ast.Name("_unplayed", ast.Load()), [value, text], [])
            ast.copy_location(statement.value, value)
        return statement


def _unplayed(value: object, text: str) -> None:
    if isinstance(value, Pattern):
        raise UsageError(f'a pattern sounds in a track; write track("more", {text})')


def _check_statements(path: str, tree: ast.Module) -> None:
    """Refuses a `sync` without yield, which would not wait, a word without brackets, and Strudel's `kick: s("bd")`."""
    own = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    for statement in ast.walk(tree):
        match statement:
            case ast.AnnAssign(ast.Name(label), ast.Call() as played, None):
                text = ast.unparse(played).replace("'", '"')[:60]
                wrong = UsageError(f'{label}: is of Strudel; write track("{label}", {text})')
                raise fault_in_script(path, wrong, statement.lineno)
            case ast.Expr(ast.Call(ast.Name("sync"))) | ast.Assign(_, ast.Call(ast.Name("sync"))):
                wrong = UsageError('sync waits by yield, as in n = yield sync("drop")')
                raise fault_in_script(path, wrong, statement.lineno)
            case ast.Expr(ast.Name(name)) if name in live.__all__ and name not in own and callable(getattr(live, name)):
                wrong = UsageError(f"{name} without brackets does nothing; write {name}()")
                raise fault_in_script(path, wrong, statement.lineno)
            case _:
                pass


def read(path: str, source: str, *, version: int = 0, patch_plays: bool = False) -> LiveScript:
    """Runs the text of a script once. Events have places in this text with number `version`; 0 for no places.

    A script without tracks and loops is refused; with `patch_plays` only if it also sets no parameter of its patch.

    Raises ScriptError: it cannot be read, with the line.
    """
    if len(source) > MAX_LETTERS:
        raise ScriptError(f"{path}: a script has at most {MAX_LETTERS} characters; split it into modules")
    script = LiveScript(path, places=ScriptPlaces(path, source, version) if version else None)
    try:
        tree = ast.parse(source, path)
        compile(tree, path, "exec", dont_inherit=True)  # its errors are those of the text
        _check_statements(path, tree)
        tree = ast.fix_missing_locations(_PatternStatementRefuser().visit(tree))
        code = compile(tree, path, "exec", dont_inherit=True)
        with on_stage(_ReadingStage(script)):
            exec(code, {"__name__": "live_script", "__file__": path, "_unplayed": _unplayed})
        silence_muted(script)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise fault_in_script(path, error) from error
    finally:
        begin_dialect(0)
    sets = [event.address for event in script.settings if event.address.startswith("/node/")]
    if not (script.tracks or script.loops or script.hushed or (sets and patch_plays)):
        nothing = f"{os.path.basename(path)}: the script plays nothing{f', it only sets {sets[0]}' if sets else ''}"
        raise ScriptError(f'{nothing}; write track("beat", "bd*4"), or @loop above a function')
    return script
