"""Memory of shared libraries that nothing uses any more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from __future__ import annotations
from antiphon.native import dsp
from antiphon.native.compiling import compile_all
from antiphon.kernel.runtime.resources import unmap_clean

def resident():
    total, counts = 0, False
    for line in open("/proc/self/smaps"):
        name, _, rest = line.partition(" ")
        if "-" in name:
            counts = "libllvmlite" in rest
        elif name == "Rss:" and counts:
            total += int(rest.split()[0])
    return total

compile_all()
before = resident()
unmap_clean("llvmlite")
after = resident()

from antiphon.native.compiling import kernel
from antiphon.native.kernel import f64

@kernel
def double(x: f64) -> f64:
    return 2.0 * x

print(before, after, double(21.0))
"""
FORKED = """
import os, sys
from antiphon.native import dsp
from antiphon.native.compiling import compile_all
from antiphon.kernel.runtime.resources import unmap_clean

compile_all()
pid = os.fork()
if pid == 0:
    unmap_clean("llvmlite")
    sys.exit()  # which runs what the library does at its end, in pages that were written when it was loaded
print(os.waitpid(pid, 0)[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the pages of other systems are not counted")
def test_a_library_gives_its_pages_back_and_works_on(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=120)
    assert not done.stderr
    before, after, answer = map(float, done.stdout.split())
    assert after < before / 4
    assert answer == 42.0


@pytest.mark.skipif(sys.platform != "linux", reason="the pages of other systems are not counted")
def test_a_forked_process_keeps_the_pages_that_were_written_before_the_fork() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("0\n", "")
