"""Commands of a plugin, for `antiphon_commands`: groups, examples, answers, progress, errors, completions."""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
from antiphon.cli.command import CommandGroup, Json, epilog
from antiphon.cli.commands import run as run_command
from antiphon.cli.errors import complain
from antiphon.cli.plugin_commands import command_group
from antiphon.cli.progress import echo_answer, progress_bar
from antiphon.client.finding import http_port, osc_port
from antiphon.client.http import request as http_request

if not TYPE_CHECKING:  # a type checker would find every name
    __getattr__ = _former.refuse(__name__)
