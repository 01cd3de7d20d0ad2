"""The examples at the end of each command's help: there is one, and the command takes its options and values.

What such lines make is looked at where pages have them: tests/docs/test_commands.py.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.docs.test_commands import only_parsed

from antiphon.cli.commands import application


def commands() -> Iterator[tuple[str, str]]:
    """Each command by its words, and its help page."""
    group: Any = application()

    def below(command: Any, words: list[str], parent: Any) -> Iterator[tuple[str, str]]:
        context = command.make_context(words[-1], [], parent=parent, resilient_parsing=True)
        if hasattr(command, "list_commands"):
            for name in command.list_commands(context):
                yield from below(command.get_command(context, name), [*words, name], context)
        else:
            yield " ".join(words[1:]), command.get_help(context)

    return below(group, ["antiphon"], None)


@cache
def examples() -> dict[str, list[str]]:
    """The examples of each command; a process that only collects tests does not build all help pages."""
    return {
        name: re.findall(r"^ +(antiphon .*)$", page.partition("Examples:")[2], re.MULTILINE)
        for name, page in commands()
    }


def test_each_command_has_an_example_of_its_own() -> None:
    assert [name for name, lines in examples().items() if not lines] == []
    wrong = [line for name, lines in examples().items() for line in lines if not line.startswith(f"antiphon {name}")]
    assert wrong == []


def test_each_example_is_taken_by_its_command() -> None:
    for lines in examples().values():
        for line in lines:
            only_parsed(line)
