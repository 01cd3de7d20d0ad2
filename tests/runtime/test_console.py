"""What is said to nobody, or to a full disk, is lost and counted; what says it goes on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.clock import FakeClock

from antiphon.kernel.runtime import console

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


def test_what_a_plugin_prints_is_a_line_of_the_log_with_its_name_and_bounded(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = FakeClock()
    clock.put(monkeypatch)
    monkeypatch.setattr(sys, "stdout", sys.__stdout__)
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    console.log_plugin_prints()
    plugin = {"__name__": "antiphon_wobble.node"}
    exec("def prints(*words, **how):\n    print(*words, **how)\n", plugin)
    kernel = {"__name__": "antiphon.kernel.graph", "plugin": plugin["prints"]}
    exec("def calls(*words, **how):\n    plugin(*words, **how)\n", kernel)
    kernel["calls"]("gain is", 0.5)
    kernel["calls"]("begun, ", end="")
    kernel["calls"]("and \x1b[31mended\nwith more", file=sys.stderr)
    console.write_output("ready")
    out, err = capfd.readouterr()
    assert out == "ready\n"
    assert err == "".join(f"antiphon: wobble: {line}\n" for line in ("gain is 0.5", "and  [31mended", "with more")), (
        "what cannot be seen is a space"
    )
    kernel["calls"]("x" * 1000)
    for n in range(40):
        kernel["calls"](n)
    said = capfd.readouterr().err.splitlines()
    assert said[0] == f"antiphon: wobble: begun, {'x' * 493}..."
    assert said[-1] == "antiphon: wobble: 17"
    assert len(said) == console.MAX_PRINTED - 1
    clock.sleep(console.PRINT_SECONDS)
    kernel["calls"]("again")
    assert capfd.readouterr().err == "antiphon: wobble: 22 more lines were printed\nantiphon: wobble: again\n"
