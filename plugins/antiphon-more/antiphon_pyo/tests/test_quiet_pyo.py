"""pyo says nothing about windows where Python has none; an instrument that another process computes is the same."""

import subprocess
import sys
import threading
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyo")

from antiphon.api.backends.synths import SynthSettings
from antiphon_pyo import instruments
from antiphon_pyo.backend import Pyo
from antiphon_pyo.instruments import SamplesError, folder, sounds
from antiphon_pyo.tests.playing import RATE, on, play, run

IMPORT = "import antiphon_pyo.backend"


def printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    return done.stdout + done.stderr


def test_a_python_without_tkinter_hears_nothing_of_windows() -> None:
    without = "import sys; sys.modules['tkinter'] = sys.modules['wx'] = None\n"
    assert "Neither WxPython nor Tkinter" in printed(f"{without}import os; os.environ['PYO_GUI_WX'] = '0'; import pyo")
    assert printed(f"{without}{IMPORT}") == ""
    zygote = (
        "from antiphon_pyo.info import PYO; from antiphon.kernel.runtime.importing import import_module;"
        "import_module(PYO.worker(48000, 256).imports)"
    )
    assert printed(without + zygote) == ""


def test_no_toolkit_of_windows_is_loaded() -> None:
    loaded = "print([name for name in ('tkinter', '_tkinter') if name in __import__('sys').modules])"
    assert printed(f"{IMPORT}; {loaded}") == "[]\n"
    before = "import sys, types; there = sys.modules['tkinter'] = types.ModuleType('tkinter')"
    assert printed(f"{before}; {IMPORT}; print(sys.modules['tkinter'] is there)") == "True\n"


def test_whatever_else_is_printed_at_its_import_is_said() -> None:
    wordy = """
import sys, types
class Wordy:
    def find_spec(self, name, path=None, target=None):
        if name == 'pyo.lib.hrtf':
            print('something else')
sys.meta_path.insert(0, Wordy())
"""
    assert printed(wordy + IMPORT) == "something else\n"


@pytest.mark.parametrize("name", ["bass", "strings", "drums"])
def test_another_process_gives_the_same_zones(name: str) -> None:
    here, there = list(sounds(name, RATE)), list(instruments.read(name, RATE))
    assert len(here) == len(there) > 2
    for one, other in zip(here, there, strict=True):
        for field in fields(one):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_what_another_thread_has_loaded_sounds_the_same() -> None:
    expected = play([(100, on(40))], 0.3, "bass")
    # of a folder that is given, instruments are loaded apart; pyo's objects are never freed, as pyo may crash then
    fresh, settings = Pyo(RATE, 256, 1, folder()), SynthSettings("bass")
    work = fresh.preload(settings)
    assert work is not None
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert fresh.preload(settings) is None
    fresh.open(0, settings)
    np.testing.assert_array_equal(run(fresh, [(100, on(40))], 0.3, 256), expected)


def test_samples_that_are_not_there_are_an_error_here_too(tmp_path: Path) -> None:
    with pytest.raises(SamplesError, match="the process that loads piano ended before it had"):
        list(instruments.read("piano", RATE, tmp_path))
