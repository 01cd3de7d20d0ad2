"""Programs of Strudel and Tidal as live scripts: what each becomes, that it is read, and that nothing is evaluated."""

import ast
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from tests import accepted
from tests.each import each

from antiphon.kernel.errors import UsageError
from antiphon.live import reading
from antiphon.live.performance import Performance
from antiphon.paste.child import FUNCTIONS, translate_program, unsafe_parts
from antiphon.paste.translation import _ready as ready, prepare, translation

CASES = accepted.rows(Path(__file__).with_name("cases.txt"))
LONG = re.compile(r"\(\n +(.*?),\n +(.*?)\n\)", re.S)
"""A track on several lines."""


@each("program, wanted", CASES)
def test_a_program_becomes_these_lines_and_they_play(program: str, wanted: str) -> None:
    text = translate_program(re.sub(r"; (?=\w|\$|_)", "\n", program))[0]
    shown = LONG.sub(lambda found: f"({found[1]}, {re.sub(chr(10) + ' +', '', found[2])})", text)
    for line in wanted.replace("\\n", "\n").split(" | "):
        assert line in shown
    script = reading.read("set.py", text)
    assert script.tracks
    Performance(script).until(Fraction(8))


@pytest.mark.parametrize("let", ["let k", "let\n    k"])
def test_the_names_of_a_let_stand_on_its_line_or_below_and_an_unreadable_one_is_lost_alone(let: str) -> None:
    program = (
        f'{let} = "1 0 1"\n    m = foo\n    f x = x\n    l = "0 1"\nd1 $ struct k $ s "bd"\nd2 $ struct l $ s "hh"'
    )
    text = translate_program(program)[0]
    assert "there is no foo here" in text
    assert 'track("d1", s("bd").struct("1 0 1"))' in text
    assert 'track("d2", s("hh").struct("0 1"))' in text


@each(
    "program, sentence",
    [
        ("", 'nothing in it plays; a program has lines such as $: s("bd*4") or d1 $ s "bd*4"'),
        ("$: s(", "this is no JavaScript that can be read: Line 1"),
        ("live_loop :a do\n  sample :bd_haus\n  sleep 0.5\nend", "programs of Sonic Pi are not translated"),
        ("const a = 3", "nothing in it plays"),
        ("$: import('os')", "nothing in it plays; a live script has no such expression"),
        ("d1 $ sound", "nothing in it plays; this is no pattern of sounds"),
        ("x" * 300_000, "a program has at most 200,000 characters"),
        ("$: " + "[" * 5000, "this program is nested too deeply to be read"),
        ("$: " + "(" * 90_000 + ")" * 90_000, "this program is nested too deeply to be read"),
    ],
)
def test_what_cannot_be_translated_is_one_sentence(program: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        translation(program)


def test_what_takes_too_long_is_one_sentence_and_the_next_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.paste.translation.TIMEOUT_SECONDS", 0.001)
    with pytest.raises(UsageError, match="takes too much time or memory to be translated; paste a part of it"):
        translation("$: s('bd')")
    monkeypatch.undo()
    assert translation("$: s('bd')").tracks == 1


def test_a_process_that_was_started_before_translates_and_is_replaced_where_it_has_ended() -> None:
    prepare()
    (waiting,) = ready
    prepare()
    assert ready == [waiting]
    assert translation("$: s('bd')").tracks == 1
    assert waiting.ended
    assert ready == []
    prepare()
    ready[0].kill()
    ready[0].wait()
    assert translation("$: s('bd*4')\n$: s('cp')").tracks == 2


NASTY = [
    '$: s("bd" + `${process.exit(1)}`)',
    '$: s("\\"); __import__(\\"os\\").system(\\"true\\") #")',
    '$: s(\'a\\n"""\\nimport os\')',
    '// """\n/* __import__("os") */\n$: s("bd").p("\\u2028x")',
    'd1 $ s "bd\\") ; import os" # gain 1',
]


@pytest.mark.parametrize("program", NASTY)
def test_texts_stay_texts(program: str) -> None:
    """No text or comment of a program becomes code: what is called are words of live scripts alone."""
    try:
        tree = ast.parse(translate_program(program)[0])
    except UsageError:
        return
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert called <= {"patch", "dialect", "track", "s", "tempo"}
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))


PIECES = st.sampled_from(
    ["$: ", 's("bd")', ".fast(2)", "note(", '"c e"', ")", "x => ", "d1 $ ", " # gain 1", "[", "]", "\n", "`${a}`",
     "let a = ", ";", '"""', "'", "\\", "// x\n", "{", "}", "every 4 (", " rev", " $ ", "<~ ", "|+| ", "é", "1/8"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join))
def test_any_text_is_a_script_or_a_sentence(program: str) -> None:
    try:
        text = translate_program(program)[0]
    except UsageError:
        return
    ast.parse(text)


@each(
    "program, wanted",
    [
        ("""$: s(`bd${"'+__import__('os').system('id')+'"}`)""", """format("'+__import__('os').system('id')+'")"""),
        ("exec = exec\n$: exec('import os')", "exec_("),
        ("$: exec('x');\nlet exec = s('bd')", "exec_("),
        ("let __import__ = 3\n$: s('bd').fast(__import__)", "fast(import__)"),
        ('$: s("bd _@999999999")', '"bd _@999999999"'),
        ("$: " + "stack(" * 24 + 's("bd")' + ")" * 24, 's("bd")'),
        ("$: s('bd').fast(1234567)", "fast(1234567)"),
        ("setcpm()\n$: s('bd')", "# it cannot be read:"),
        ("let f = x => !x == 1\n$: s('bd')", "return (not x) == 1"),
    ],
)
def test_what_is_pasted_calls_nothing_of_python_and_costs_little(program: str, wanted: str) -> None:
    script = translate_program(f'{program}\n$: s("hh")')[0]
    assert wanted in script
    assert len(script) < 2000 + 2 * len(program)
    used = {node.id for node in ast.walk(ast.parse(script)) if isinstance(node, ast.Name)}
    assert used.isdisjoint({"exec", "eval", "open", "__import__", "getattr", "compile"})


@each(
    "program, reason, rest",
    [
        ('$: s("bd"); $: "c3".add("x_y").note()', "not 'x_y'", 's("bd")'),
        ('$: n("0").scale("C:nonsense").s("piano"); $: s("bd")', "there is no scale 'nonsense'", 's("bd")'),
        ('$: s("hh").fast("1 <1 0>"); $: s("bd")', "fast takes a number above 0", 's("bd")'),
        ('let a = "c e".fast(-1); $: a.note(); $: s("bd")', "a is left out above", 's("bd")'),
        ('let f = x => x.foo.bar(2); $: f(s("hh")); $: s("bd")', "", 's("bd")'),
        ('d1 $ s "bd"; d2 $ n ("c\'maj" + "x\'y") # s "superpiano"', "", 's("bd")'),
    ],
)
def test_what_cannot_be_played_is_a_comment_and_the_rest_plays(program: str, reason: str, rest: str) -> None:
    text, script = translate_program(program.replace("; ", "\n"))
    assert f'", {rest})' in text
    assert reason in "".join(line for line in text.splitlines() if line.startswith("#"))
    assert len(script.tracks) == 1
    assert len(script.left_out) >= 1
    Performance(reading.read("set.py", text)).until(Fraction(16))


def test_a_program_of_which_nothing_can_be_played_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing in it plays; fast takes a number above 0"):
        translate_program('all(x => x.fast(-1))\n$: s("bd")\n$: s("hh")')


def test_a_track_that_never_ends_takes_its_time_and_no_more() -> None:
    slow = "s('bd*64')" + ".ply(64)" * 3
    text, script = translate_program(f'$: {slow}\n$: s("bd")')
    assert 's("bd")' in text
    assert "track2" in script.tracks


@pytest.mark.parametrize(
    ("line", "name"), [("x = open('a')", "open"), ("x = s('a').__class__", "__class__"), ("import os", "module")]
)
def test_a_script_that_would_do_more_than_play_is_refused(line: str, name: str) -> None:
    ((at, reason),) = unsafe_parts(f"from antiphon.live import *\n{line}\n")
    assert at == 2
    assert re.match(f"the translation would .*{name}", reason)


def test_a_track_that_would_do_more_than_play_is_left_out_and_the_rest_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.paste.child.FUNCTIONS", FUNCTIONS - {"rev"})
    text, script = translate_program('d1 $ every 2 rev $ jux rev $ s "bd*4"\n\nd2 $ s "hh*8"')
    assert list(script.tracks) == ["d2"]
    assert "# the translation would use rev, which no pattern needs:\n#   track(" in text
    with pytest.raises(UsageError, match="nothing in it plays; the translation would use rev"):
        translate_program('d1 $ every 2 rev $ s "bd*4"')


def test_changes_built_while_playing_keep_the_dialect() -> None:
    text = translate_program('$: note("c4 e4").plyWith(2, x => x.add(7))')[0]
    performance = Performance(reading.read("set.py", text))
    foreseen = {what for _, _, _, what in performance.coming(Fraction(4), lambda: False)}
    events = performance.until(Fraction(4))
    assert {event.args[0] for event in events if event.address == "/note/on"} == foreseen == {60, 64}
