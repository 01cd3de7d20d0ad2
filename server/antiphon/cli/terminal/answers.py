"""The answer of a command: lines for a person, or with `--json` one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of words.")]
"""Annotation of the option `--json` of a command."""


def echo_answer(as_json: bool, data: Any, lines: Iterable[str]) -> None:
    """Prints an answer as JSON or as lines, which may be a generator."""
    for line in (json.dumps(data),) if as_json else lines:
        typer.echo(line)
