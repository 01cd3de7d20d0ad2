"""What may import what: the pure parts stay pure, no one loads torch; modules are short.

Which room imports which, that nothing goes in a circle, and who imports torch stands in the contracts of pyproject.toml
(`make lint`).
"""

import ast
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from tests.commands import PAGES, blocks
from tests.sources import PYTHONPATH, SOURCES

import antiphon
from antiphon.testing import sound as audio

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "server"
ROOTS = tuple(SOURCES)


def files(name):
    place = SERVER / "antiphon" / name
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def names(name):
    """The modules of `files`."""
    parts = (file.relative_to(SERVER).with_suffix("").parts for file in files(name))
    return [".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts]


def sources(*tops):
    """Everything that ships and the benches, and not what tests it."""
    found = [(top, file) for top in tops or ROOTS for file in top.rglob("*.py")]
    return [file for top, file in found if not {"tests", "__pycache__"} & set(file.relative_to(top).parts)]


@cache
def ours(module):
    """The file of a module of ours, or None."""
    for top in ROOTS:
        place = top / Path(*module.split("."))
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return file
    return None


PURE = ["kernel/wire", "kernel/session", "kernel/graph/patch", "kernel/contract/params", "kernel/graph/graph"]
WORLD = {"asyncio", "socket", "socketserver", "selectors", "ssl", "http", "torch", "sounddevice", "jack"}
NO_NUMPY = ["kernel/graph/patch", "kernel/contract/params", "kernel/graph/graph", "kernel/contract/catalog"]


@pytest.mark.parametrize(
    ("start", "heavy"),
    [
        pytest.param([name for part in PURE for name in names(part)], WORLD, id="the pure parts touch no world"),
        pytest.param([name for part in NO_NUMPY for name in names(part)], {"numpy"}, id="control reads patches"),
        # a fresh interpreter that measures wakes elsewhere than on Linux; the list of hooks in the cache
        pytest.param(
            ["antiphon.kernel.supervisor.chores", "antiphon.kernel.plugins.hook_lists"],
            {"numpy", "msgspec", "antiphon.kernel.supervisor.starts", "antiphon.kernel.plugins.finding"},
            id="the first of every start and command",
        ),
        # it would be 10 of 37 MB, for what no request needs
        pytest.param(
            ["antiphon.web.process", "antiphon_classify.routes", "antiphon_library.routes", "antiphon_mcp.routes"],
            {"numpy", "antiphon.files.audiofile", "segno"},
            id="the process that serves, with the routes of every plugin",
        ),
        # frameworks are extras, and the first steps need none
        pytest.param(
            ["antiphon_models.pipeline.running", "antiphon_models.pipeline.training.by_sklearn"],
            {"torch", "keras", "tensorflow", "fastai"},
            id="a pipeline that trains with scikit-learn",
        ),
        pytest.param(
            ["antiphon_denoise.processor", "antiphon_hum.processor", "antiphon_hum.notes"],
            {"scipy", "librosa", "mir_eval", "pyworld", "mido", "torch", "numba"},
            id="processors with networks",
        ),
        pytest.param(["antiphon.cli.serve"], {"numpy", "antiphon.kernel.engine.loop"}, id="the options of serve"),
    ],
)
def test_what_starts_imports_little(start, heavy):
    run = f"import sys, {', '.join(start)}; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split() == []


def test_librosa_is_imported_in_one_place_where_one_process_at_a_time_compiles_it():
    found = subprocess.run(
        ["git", "grep", "-lE", r"(^|[^_])import libros[a]|from libros[a]|importorskip\(.libros[a]", "--", "*.py"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.split() == ["server/antiphon/signal/features.py"]


def test_processes_that_have_loaded_everything_have_loaded_nothing_heavy():
    run = (
        "import sys, antiphon.kernel.engine.process, antiphon.kernel.control.process, antiphon.kernel.supervisor;"
        "from antiphon.kernel.plugins.loader import load; load(check=False);"
        "assert not {'torch', 'pyo', 'onnxruntime', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", run], check=True, env={**os.environ, "PYTHONPATH": PYTHONPATH}, timeout=300)


def test_a_command_builds_no_other_command_and_imports_no_numpy():
    run = (
        "import sys; from antiphon.cli.commands import application; "
        "sys.argv = ['antiphon', 'status']; app = application(sys.argv[1:]);"
        "print(*app.commands); from antiphon.cli.errors import run;"
        "code = run(app, ['status', '--http-port', '1']);"
        "print(code, *{'numpy', 'pydantic', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.splitlines() == ["status", "1"]


COUNTED = """
import atexit, sys
start = set(sys.modules)
def show():
    print(*(name for name in sys.modules if name not in start), file=sys.__stderr__)
atexit.register(show)
from antiphon.cli import main
main()
"""


@pytest.mark.parametrize(
    ("command", "most", "others"),
    [
        pytest.param(["--help"], 18, set(), id="help"),
        pytest.param(["run", "gain", "in.wav", "out.wav", "--force"], 137, {"antiphon_utilities"}, id="run"),
        pytest.param(
            ["run", "denoise", "in.wav", "out.wav", "--force"],
            197,
            {"antiphon_classify", "antiphon_denoise", "soxr"},  # it asks two analyses whether it is speech
            id="run denoise",
        ),
    ],
)
def test_a_command_imports_few_modules_and_the_plugins_that_it_uses(command, most, others, tmp_path):
    """Counted are neither Python's nor numpy's, nor llvmlite's, which a wheel does without, nor click's."""
    audio.write(tmp_path / "in.wav", audio.noise(4800))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ROOTS)), "ANTIPHON_HOME": str(tmp_path / "home")}
    for _ in range(2):  # the first writes what the second reads
        # in a session of its own: its priority stays as it is
        done = subprocess.run(
            [sys.executable, "-c", COUNTED, *command],
            cwd=tmp_path, env=env, capture_output=True, text=True, check=True, timeout=300, start_new_session=True,
        )  # fmt: skip
    packages = [name.partition(".")[0] for name in done.stderr.splitlines()[-1].split()]
    counted = [name for name in packages if name not in {*sys.stdlib_module_names, "numpy", "llvmlite", "click"}]
    assert len(counted) <= most, sorted(counted)
    heavy = {"typer", "pluggy", "platformdirs", "asyncio", "email", "http", "ssl", "soxr", "scipy"}
    assert {name for name in packages if name.startswith("antiphon_") or name in heavy} == others


def test_what_names_no_command_is_answered_by_all_of_them():
    from antiphon.cli.commands import application

    every = set(application().commands)
    assert {"run", "serve", "osc"} < every
    for typed in (["--help"], ["statu"], ["--version", "run"], []):
        assert set(application(typed).commands) == every


BACKENDS = {"antiphon_pyo": {"info"}, "antiphon_supercollider": {"info"}}
"""By plugin that is a synth backend, the modules that a start may import: plain data."""


@pytest.mark.parametrize(
    "work",
    [
        pytest.param("preload.warm(ServeSettings(), Path(sys.argv[1]), beside)", id="serve without a choice"),
        pytest.param("play_with('cpu', 'auto', load(check=True), None, print)", id="run"),
    ],
)
def test_a_synth_that_nobody_uses_costs_nothing(work, tmp_path):
    """What starts and checks every plugin, and plays no note, has of a backend no more than what it says of itself."""
    run = (
        "import json, sys; from pathlib import Path; from antiphon.operations.file_tasks import play_with;"
        "from antiphon.files.audiofile import load_sound;"
        "from antiphon.kernel.plugins.loader import load; from antiphon.kernel.runtime.settings import ServeSettings;"
        "from antiphon.backends.serving import ServedSynth; from antiphon.kernel.supervisor import companions, preload;"
        f"beside = companions.Companions(read=load_sound, notes=ServedSynth()); {work};"
        "print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", run, tmp_path],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        timeout=120,
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "antiphon_synth.processor" in loaded, "the node is checked"
    assert "pyo" not in loaded
    for plugin, allowed in BACKENDS.items():
        assert plugin in loaded, "its hooks are called"
        assert {name.removeprefix(f"{plugin}.") for name in loaded if name.startswith(f"{plugin}.")} <= allowed


def test_the_server_names_no_backend():
    """Its strings, names and imports; prose, and the lists of what ships, may."""
    found = []
    backend = re.compile("pyo|supercollider|scsynth", re.IGNORECASE)
    for file in files("."):
        text = file.read_text()
        if file.name in ("finding.py", "extras.py") or not backend.search(text):
            continue
        tree = ast.parse(text)
        prose = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) and id(node) not in prose else getattr(node, "id", "")
            if isinstance(text, str) and text.lower() in ("pyo", "supercollider", "scsynth", "--scsynth"):
                found.append(f"{file}:{node.lineno}: {text}")
    assert found == []


FROM = re.compile(r"\bfrom (antiphon[\w.]*) import (\(.*?\)|[^;\n]+)", re.DOTALL)
WHOLE = re.compile(r"(?:^|[;\n])\s*import (antiphon[\w.]*(?: as \w+)?(?:, antiphon[\w.]*)*)")
GAP = "{}"
"""Where an f-string has a value."""


def written():
    """Texts that may be code: strings of the tests by their place, and blocks of Python on the pages."""
    for top in ("tests", "plugins", "models"):
        for file in (file for file in (ROOT / top).rglob("*.py") if "tests" in file.relative_to(ROOT).parts):
            source = file.read_text()
            if "import antiphon" in source or "from antiphon" in source:
                for node in ast.walk(ast.parse(source)):
                    if isinstance(node, ast.JoinedStr):
                        yield (
                            file,
                            "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values),
                        )
                    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                        yield file, node.value
    yield from ((page, "\n".join(block.lines)) for page in PAGES for block in blocks(page) if block.lang == "python")


def asked(text):
    """(module, name) of each import of ours in a text, and of each attribute of a module that it names anew."""
    for module, names in FROM.findall(text):
        plain = re.sub(r"#.*|[()]", "", names)
        yield from ((module, name.split()[0]) for name in plain.split(",") if name.strip() and name.strip() != "*")
        yield module, ""
    for modules in WHOLE.findall(text):
        for module, _, name in (one.partition(" as ") for one in modules.split(", ")):
            yield module, ""
            yield from ((module, used) for used in re.findall(rf"\b{name}\.(\w+)", text) if name)


@cache
def bound(file):
    """Names at the top of a module."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def test_imports_in_texts_of_tests_and_pages_lead_somewhere():
    """A plugin that a test writes fails far from the name that has left, or is skipped with it."""
    pairs = [(place, *pair) for place, text in written() for pair in asked(text) if GAP not in "".join(pair)]
    assert len(pairs) > 100, "too few are found to mean anything"
    wrong = []
    for place, module, name in pairs:
        file = ours(module)
        if file is None or (name and name not in bound(file) and ours(f"{module}.{name}") is None):
            wrong.append(f"{place}: {module} {name}")
    assert wrong == []


def test_every_module_is_short_and_says_what_it_is():
    for file in sources():
        text = file.read_text()
        assert text.count("\n") <= 600, file
        assert not text or re.match(r'(#[^\n]*\n|\n)*r?"""', text), f"{file} has no docstring"


def test_no_two_public_classes_share_a_name():
    """One word, one meaning: a name that stands twice is guessed wrong half the time.

    What a Python program sees is called as it is there, and by no other name within.
    """
    places = {}
    for file in sources():
        for name in re.findall(r"^class ([A-Z]\w*)", file.read_text(), re.MULTILINE):
            places.setdefault(name, []).append(str(file))
    assert {name: found for name, found in places.items() if len(found) > 1 and name not in antiphon.__all__} == {}
