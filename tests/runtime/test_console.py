"""What is said to nobody, or to a full disk, is lost and counted; what says it goes on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GONE = """
import os, sys
from antiphon.kernel.runtime.console import say, write_output
os.dup2({fd}, 2)
say("one")
say("two")
print("by another's print", file=sys.stderr, flush=True)
write_output("still here")
"""


def test_a_reader_that_has_gone_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", GONE.format(fd=write)], pass_fds=(write,), stdout=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stdout) == (0, b"still here\n")


def test_a_full_disk_costs_lines_and_says_how_many() -> None:
    text = """
import os, sys
from antiphon.kernel.runtime.console import say
kept = os.dup(2)
os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
say("one")
say("two")
os.dup2(kept, 2)
say("three")
"""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        0,
        "antiphon: 2 lines before this one could not be written here\nantiphon: three\n",
    )


def test_a_line_is_said_whatever_is_in_it() -> None:
    text = "from antiphon.kernel.runtime.console import say, write_output; say('\\udce4'); write_output('\\udce4')"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\\udce4\n", "antiphon: \\udce4\n")
