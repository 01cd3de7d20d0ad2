"""The library of kernels: found by what a kernel's code is, run without LLVM, and never taken for another."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from antiphon.kernel.errors import EngineError, FileError
from antiphon.kernel.native import Kernel, compiling, f32p, f64, i64, kernel, library
from antiphon.kernel.native.identity import digest

pytestmark = pytest.mark.skipif(shutil.which("ld") is None, reason="the linker ld (binutils) is not installed")
GAIN = 0.5


def scaled(x: f32p, n: i64) -> f64:
    """x ← x · GAIN; gives the sum."""
    total = 0.0
    for i in range(n):
        x[i] = x[i] * GAIN
        total += x[i]
    return total


def halved(a: f64) -> f64:
    return half_of(a) + 1.0


@kernel
def half_of(a: f64) -> f64:
    return a * 0.5


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of declared kernels is a test's own."""
    monkeypatch.setattr(compiling, "_declared", [])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / library.NAME
    monkeypatch.setattr(library, "library_path", lambda: path)
    return path


@pytest.fixture
def without_llvm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("antiphon.kernel.native.loading", "antiphon.kernel.native.lower"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr("antiphon.kernel.native.loading", raising=False)
    monkeypatch.setitem(sys.modules, "llvmlite", None)


def is_right(made: Kernel[..., float]) -> bool:
    sound = np.array([1.0, -3.0], np.float32)
    return made(sound, 2) == -2.0 * GAIN and made.bind(sound, 2)() == -2.0 * GAIN * GAIN


def test_a_kernel_of_the_library_runs_without_llvm(declared: None, place: Path, request: pytest.FixtureRequest) -> None:
    assert library.write([kernel(scaled), kernel(halved), half_of, kernel(scaled)], place) == 3
    request.getfixturevalue("without_llvm")
    again = kernel(scaled)
    assert is_right(again)
    assert again.address
    assert kernel(halved)(4.0) == 3.0


def test_one_that_it_does_not_have_says_what_is_missing(
    declared: None, place: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.write([kernel(scaled)], place)
    request.getfixturevalue("without_llvm")
    there, other = kernel(scaled), kernel(halved)
    with pytest.raises(EngineError, match="the kernel halved needs llvmlite, which is not installed"):
        other(1.0)
    assert is_right(there), "one kernel that is missing takes no other with it"
    before = digest([there])
    monkeypatch.setitem(globals(), "GAIN", 0.25)
    assert digest([kernel(scaled)]) != before
    with pytest.raises(EngineError, match="scaled"):
        kernel(scaled)(np.ones(2, np.float32), 2)


def test_what_the_library_lacks_is_compiled_where_llvm_is(declared: None, place: Path) -> None:
    library.write([kernel(scaled)], place)
    other = kernel(halved)
    assert other(4.0) == 3.0
    assert is_right(kernel(scaled))


def test_a_linker_that_is_missing_or_fails_is_named(
    declared: None, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(FileError, match="could not be linked"):
        library.write([kernel(scaled)], tmp_path / "no" / "folder.so")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileError, match="apt-get install binutils"):
        library.write([kernel(scaled)], place)
    assert not place.exists()


def test_the_project_s_kernels_fit_into_one(tmp_path: Path) -> None:
    """Of the analyses that workers run: loudness, resampling and the beats."""
    code = (
        "import sys; from pathlib import Path\n"
        "import antiphon.signal.loudness, antiphon.kernel.native.resample, antiphon_listen.beats\n"
        "from antiphon.kernel.native import compiling, library\n"
        "print(library.write(compiling.declared_kernels(), Path(sys.argv[1])) >= 5)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "k.so")], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout == "True\n", done.stderr
