"""A Ctrl-C that something swallows while a command starts still ends it."""

import subprocess
import sys

SWALLOWED = """
import os, signal, sys
from antiphon.kernel.runtime.processes.child_process import watch
watch()
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    pass  # as an import that tries something does
sys.argv = ["antiphon", "serve", "--audio", "headless", "--osc-port", "0", "--http-port", "0"]
from antiphon.cli import main
main()
"""


def test_a_ctrl_c_that_was_swallowed_ends_the_server_all_the_same():
    done = subprocess.run([sys.executable, "-c", SWALLOWED], capture_output=True, text=True, timeout=300)
    assert done.returncode == 130, done.stderr
    assert "ready" not in done.stdout
    assert "Traceback" not in done.stderr
