"""Commands of a plugin, for `antiphon_commands`: groups, examples, answers, progress, errors, completions."""

from typing import TYPE_CHECKING

import antiphon.kernel.runtime.importing as _importing
from antiphon.cli.command import Command as CliCommand, CommandGroup, Json, epilog
from antiphon.cli.commands import run as run_command
from antiphon.cli.errors import complain, termination_signals
from antiphon.cli.plugin_commands import command_group
from antiphon.cli.progress import ProgressBar, clear as clear_progress, echo_answer, progress_bar
from antiphon.client.asking import answers as ask_server, follow
from antiphon.client.connection import OscConnection
from antiphon.client.finding import http_port, osc_port
from antiphon.client.http import request as http_request
from antiphon.files.owner_token import load_token as owner_token
from antiphon.offline.file_job import check_free as refuse_existing

if not TYPE_CHECKING:  # a type checker would find every name
    _FORMER = {
        "by_records": "leave the decorator out: a command's declared arguments are read without it",
        "closing_socket": "use OscConnection(host, port, tcp=TCP), whose `socket` is connected; its `with` closes it",
        "complete_named": 'use argument("Sentence.", names=KIND) of antiphon.api.backends.runtime',
    }
    __getattr__ = _importing.refuse_former(__name__, _FORMER)
