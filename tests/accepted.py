"""Sentences of a door, compared as text: each line of a test's .txt file is an input and what is said to it.

`ANTIPHON_ACCEPT=1` writes the files anew; their difference in git is then what is to be read.
"""

import os
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from antiphon.kernel.errors import AntiphonError

ACCEPT = "ANTIPHON_ACCEPT"
TO, NEWLINE = " → ", "⏎"
MOST = 200
"""Characters of a sentence that are compared; a longer one is compared up to its list of all names there are."""
LIST = re.compile(r"((?:there are|it has|the \w+ are):?) .*")
NEAREST = re.compile(r"the nearest of \d+ are [^()]*")


def refusal(call: Callable[[], object]) -> str:
    """Class and sentence of the error that a call raises; any error but the project's own goes on."""
    try:
        call()
    except AntiphonError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing is refused"


def rows(file: Path) -> list[tuple[str, str]]:
    """Left and right of each line of a file with an arrow; the others are headings."""
    found = [line.replace(NEWLINE, "\n").partition(TO) for line in file.read_text("utf-8").splitlines()]
    return [(left, right) for left, arrow, right in found if arrow]


def inputs(test: str | Path) -> list[str]:
    """The inputs in a test's .txt file."""
    return [line.partition(TO)[0].replace(NEWLINE, "\n") for line in _lines(test) if TO in line]


def compare(test: str | Path, answer: Callable[[str], str]) -> None:
    """Compares the sentence of each input with what `answer` gives for it.

    Args:
        test: `__file__` of the test, or another path of the same stem as the .txt file.
        answer: Takes an input.
    """
    _compare(test, [answer(given) for given in inputs(test)])


def compare_calls(test: str | Path, *refusals: type[Exception], **names: object) -> None:
    """Compares what each input gives, an expression over `names`: as text, or the sentence of one of `refusals`."""

    def answer(call: str) -> str:
        try:
            return str(eval(call, dict(names)))
        except refusals as refused:
            return str(refused)

    compare(test, answer)


async def compare_async(test: str | Path, answer: Callable[[str], Awaitable[str]]) -> None:
    """As `compare`."""
    _compare(test, [await answer(given) for given in inputs(test)])


def _compare(test: str | Path, answers: Iterable[str]) -> None:
    said, made = iter(answers), []
    for line in _lines(test):
        given, to, _ = line.partition(TO)
        made.append(f"{given}{to}{_plain(next(said))}" if to else line)
    if os.environ.get(ACCEPT):
        _file(test).write_text("\n".join(made) + "\n", encoding="utf-8")
    changed = [f"- {old}\n+ {new}" for old, new in zip(_lines(test), made, strict=True) if old != new]
    assert not changed, "\n".join([f"{ACCEPT}=1 writes {_file(test).name} anew", *changed])


def _plain(sentence: str) -> str:
    sentence = sentence.replace(os.environ["ANTIPHON_HOME"], "HOME")
    assert "\n" not in sentence, sentence
    sentence = NEAREST.sub("the nearest … ", sentence).rstrip()
    return sentence if len(sentence) <= MOST else LIST.sub(r"\1 …", sentence)[:MOST]


def _file(test: str | Path) -> Path:
    return Path(test).with_suffix(".txt")


def _lines(test: str | Path) -> list[str]:
    return _file(test).read_text(encoding="utf-8").splitlines()
