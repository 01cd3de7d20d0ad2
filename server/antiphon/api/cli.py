"""Commands of a plugin, for `antiphon_commands`: groups, answers, progress, and OSC to a running server."""

from __future__ import annotations

from antiphon.cli.examples import command_group, epilog
from antiphon.cli.osc import Host, closing_socket, listen, refusal, silent
from antiphon.cli.ports import InsteadOfOsc, Osc as OscPort, osc_port
from antiphon.cli.terminal.answers import Json, echo_answer
from antiphon.cli.terminal.errors import complain, endable
from antiphon.cli.terminal.progress import progress_bar
from antiphon.kernel.runtime.settings import OSC_PORT
from antiphon.offline.file_job import free as refuse_existing
