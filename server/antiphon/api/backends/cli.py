"""Commands of a plugin, for `antiphon_commands`: groups, examples, answers, progress, errors, completions."""

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
