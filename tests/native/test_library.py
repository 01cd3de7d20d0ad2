"""The library of kernels: found by what a kernel's code is, run without LLVM, and never taken for another."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from tools import prebuilt

from antiphon.kernel.errors import EngineError
from antiphon.native import compiling, library
from antiphon.native.compiling import kernel
from antiphon.native.kernel import Kernel, f32p, f64, i64

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("ld") is None, reason="the linker ld (binutils) is not installed"),
]
GAIN = 0.5
RENDER = """
import sys
from pathlib import Path
if sys.argv[1] == "library":
    sys.modules["llvmlite"] = None
    from antiphon.native import library
    library.FOLDER = Path(sys.argv[2])
import numpy as np
from antiphon import Chain
x = np.random.default_rng(1).normal(0.0, 0.2, (2, 48000)).astype(np.float32)
with Chain(("filter", {}), ("compressor", {}), ("drive", {}), ("reverb", {}), rate=48000, channels=2) as chain:
    chain.process(x).tofile(sys.argv[3])
from antiphon.native.compiling import declared_kernels
print(sum(item.address != 0 for item in declared_kernels()))
"""


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
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    monkeypatch.setattr(prebuilt, "linker", by_ld)
    return tmp_path


@pytest.fixture
def without_llvm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("antiphon.native.loading", "antiphon.native.lower"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr("antiphon.native.loading", raising=False)
    monkeypatch.setitem(sys.modules, "llvmlite", None)


def by_ld(_wanted: prebuilt.Platform, image: Path, into: Path) -> list[str]:
    """The command that links for this system where ziglang, of a release alone, is not installed."""
    return ["ld", "-shared", "-z", "noexecstack", "-o", str(into), str(image), "-l:libm.so.6", "-l:libc.so.6"]


def write(items: list[Kernel[..., float]], folder: Path) -> None:
    wanted = prebuilt.PLATFORMS[prebuilt.here()]
    prebuilt.library(items, wanted, wanted.processors["base"], folder / "base.so")


def is_right(made: Kernel[..., float]) -> bool:
    sound = np.array([1.0, -3.0], np.float32)
    return made(sound, 2) == -2.0 * GAIN and made.bind(sound, 2)() == -2.0 * GAIN * GAIN


def test_a_kernel_of_the_library_runs_without_llvm(declared: None, place: Path, request: pytest.FixtureRequest) -> None:
    write([kernel(scaled), kernel(halved), half_of, kernel(scaled)], place)
    request.getfixturevalue("without_llvm")
    again = kernel(scaled)
    assert is_right(again)
    assert again.address
    assert kernel(halved)(4.0) == 3.0


def test_one_that_it_does_not_have_says_what_is_missing(
    declared: None, place: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    write([kernel(scaled)], place)
    request.getfixturevalue("without_llvm")
    there, other = kernel(scaled), kernel(halved)
    wanted = "the kernel halved needs llvmlite, which is not installed; `pip install 'antiphon[kernels]'` installs it"
    with pytest.raises(EngineError, match=re.escape(wanted)):
        other(1.0)
    assert is_right(there), "one kernel that is missing takes no other with it"
    before = library.symbol(there)
    monkeypatch.setitem(globals(), "GAIN", 0.25)
    assert library.symbol(kernel(scaled)) != before
    with pytest.raises(EngineError, match="scaled"):
        kernel(scaled)(np.ones(2, np.float32), 2)


def test_what_the_library_lacks_is_compiled_where_llvm_is(declared: None, place: Path) -> None:
    write([kernel(scaled)], place)
    other = kernel(halved)
    assert other(4.0) == 3.0
    assert is_right(kernel(scaled))


def test_of_two_libraries_the_processor_s_own_is_taken(declared: None, place: Path) -> None:
    write([kernel(scaled)], place)
    assert library.path().name == "base.so"
    for name in library.LEVELS.keys() - {"base"}:
        shutil.copy(place / "base.so", place / f"{name}.so")
    from numpy._core._multiarray_umath import __cpu_features__ as has

    best = next(name for name, needs in library.LEVELS.items() if all(map(has.get, needs)))
    assert library.path().name == f"{best}.so"


@pytest.mark.parametrize("kept", [0, 0.7, "text"])
def test_a_damaged_library_is_compiled_for(declared: None, place: Path, kept: float | str) -> None:
    write([kernel(scaled)], place)
    whole = (place / "base.so").read_bytes()
    size = kept if isinstance(kept, int) else int(float(kept) * len(whole)) if kept != "text" else 0
    (place / "base.so").write_bytes(b"no library of machine code\n" * 99 if kept == "text" else whole[:size])
    assert is_right(kernel(scaled))


def test_a_kernel_is_known_by_its_file_and_not_by_python_s_bytecode(declared: None, tmp_path: Path) -> None:
    text = "from __future__ import annotations\nfrom antiphon.native.compiling import kernel\n"
    text += "from antiphon.native.kernel import f64\n\n\n@kernel\n"
    text += "def one(a: f64) -> f64:\n"
    symbols = []
    for body in ("    return a + 1.0\n", "    return a + 1.0  # one\n", "    return a + 2.0\n"):
        (tmp_path / "made.py").write_text(text + body)
        outside: dict[str, object] = {"__name__": "made"}
        exec(compile(text + body, str(tmp_path / "made.py"), "exec"), outside)
        made = outside["one"]
        assert isinstance(made, Kernel)
        symbols.append(library.symbol(made))
    assert len({*symbols, ""}) == 4, "a file that differs is another kernel's"
    exec(compile(text + "    return a\n", "<typed>", "exec"), outside)
    assert library.symbol(outside["one"]) == "", "what no file holds is in no library"  # type: ignore[arg-type]


def test_a_linker_that_fails_is_named(declared: None, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prebuilt, "linker", lambda *_: ["ld", "-shared", "/nothing.o"])
    with pytest.raises(SystemExit, match="could not be linked"):
        write([kernel(scaled)], place)


def test_the_wheel_of_this_machine_has_the_machine_code(
    declared: None, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prebuilt, "shipped_kernels", lambda: [kernel(scaled)])
    pure = place / "antiphon-1-py3-none-any.whl"
    with ZipFile(pure, "w") as file:
        file.writestr("antiphon-1.dist-info/WHEEL", "Root-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("antiphon-1.dist-info/RECORD", "antiphon-1.dist-info/WHEEL,,\nantiphon-1.dist-info/RECORD,,\n")
    (made,) = prebuilt.main(pure, "here")
    tag = prebuilt.PLATFORMS[prebuilt.here()].tag
    assert made.name == f"antiphon-1-py3-none-{tag}.whl"
    held = ZipFile(made)
    assert "antiphon/data/kernels/base.so" in held.namelist()
    assert f"Tag: py3-none-{tag}" in held.read("antiphon-1.dist-info/WHEEL").decode()
    with pytest.raises(SystemExit, match="there is no platform amiga; there are linux"):
        prebuilt.main(pure, "amiga")


def test_a_chain_renders_by_the_library_without_llvm_what_it_renders_with_it(place: Path) -> None:
    """The same samples, of kernels for another processor than this one: none of them contracts or reorders."""
    build = (
        "import sys; from pathlib import Path; sys.path.insert(0, '.')\n"
        "from tests.native.test_library import by_ld, write\n"
        "from tools import prebuilt\n"
        "import antiphon_utilities.filter\n"
        "from antiphon_effects import compressor, drive, reverb\n"
        "from antiphon import Chain; from antiphon.native.compiling import declared_kernels\n"
        "Chain(('gain', {}), rate=48000, channels=2).close()\n"
        "prebuilt.linker = by_ld; write(list(declared_kernels()), Path(sys.argv[1]))\n"
    )
    run("-c", build, str(place))
    counts = [run("-c", RENDER, kind, str(place), str(place / kind)) for kind in ("library", "llvm")]
    assert int(counts[0]) > 20
    assert (place / "library").read_bytes() == (place / "llvm").read_bytes()


def test_a_server_without_kernels_and_without_llvm_says_what_to_install_and_ends(tmp_path: Path) -> None:
    code = "import sys; sys.modules['llvmlite'] = None; from antiphon.cli import main; sys.argv[0] = 'antiphon'; main()"
    ports = ("--osc-port", "0", "--http-port", "0")
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "--audio", "headless", *ports],
        env={**os.environ, "ANTIPHON_HOME": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    wanted = "needs llvmlite, which is not installed; `pip install 'antiphon[kernels]'` installs it"
    assert [line for line in done.stderr.splitlines() if wanted in line] == done.stderr.splitlines()[-1:]
    assert "Traceback" not in done.stderr


def run(*arguments: str) -> str:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout
