"""pyo says nothing about windows where Python has none, and what else it says is said."""

import subprocess
import sys

import pytest

pytest.importorskip("pyo")
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
