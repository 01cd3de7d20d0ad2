"""docs/plugins.md and hooks.md: examples work as written, and every hook is on the page as it is."""

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
from tests.sources import PYTHONPATH

from antiphon.backends import info as synths
from antiphon.kernel.contract import hookspecs
from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.harness import run_processor
from antiphon.kernel.contract.processor import IO, Processor
from antiphon.kernel.graph import patch
from antiphon.kernel.plugins import loader
from antiphon.networks import info as models
from antiphon.newplugin import SHAPES, files

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "plugins.md").read_text()
PAGE = "\n".join([TUTORIAL, (ROOT / "docs" / "hooks.md").read_text()])
SET = {
    "inputs", "outputs", "params", "split", "holds", "compensates", "rate", "block", "channels", "on_files",
    "latency", "node", "parts",
}  # fmt: skip
HOOKS = [n for n in ast.parse(inspect.getsource(hookspecs)).body if getattr(n, "name", "").startswith("antiphon_")]

TESTS = {
    "siren/test_siren.py": """
import numpy as np

from antiphon.api import StreamSpec
from antiphon.testing import run_processor
from siren.processor import Siren

SPEC = StreamSpec(rate=48000, block=256, channels=2)

def test_it_is_a_sine_from_its_latency_on():
    siren = Siren()
    out = run_processor(siren, SPEC, np.zeros((2, 24000), np.float32), settings={"pitch": 480.0}, blocks=[256, 100])
    assert not out[:, : siren.latency].any()
    t = np.arange(24000 - siren.latency) / 48000
    np.testing.assert_allclose(out[1, siren.latency :], 0.5 * np.sin(2 * np.pi * 480 * t), atol=1e-5)
""",
    "beeper/test_beeper.py": """
import numpy as np

from antiphon.api import Event, StreamSpec
from antiphon.api.backends.synths import BackendChoice, use_backend
from antiphon.testing import render
from antiphon_synth.processor import Synth
from beeper.backend import info

SPEC = StreamSpec(rate=48000, block=256, channels=2)

def test_a_note_begins_at_its_sample():
    use_backend(BackendChoice(info()))
    synth = Synth()
    out = render(synth, SPEC, np.zeros((2, 9600), np.float32), notes=[Event("on", 1000, 69, 0.5)]).audio[0]
    assert np.flatnonzero(out[0])[0] == 1000 + synth.latency + 1  # a sine begins with 0
""",
}
"""Tests of examples on docs/hooks.md, which the page leaves to `leveller`."""


@pytest.fixture
def folder(tmp_path):
    """The pages' files, as a reader would have made them."""
    written = re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    assert len(written) == len({name for name, _ in written}) == 17
    for name, text in [*written, *TESTS.items()]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    yield tmp_path
    # another test's folder holds packages of the same names
    for name in [key for key in sys.modules if key.partition(".")[0] in {path.name for path in tmp_path.iterdir()}]:
        del sys.modules[name]


def run(folder, *command):
    """A command in the folder, whose packages it finds; its process."""
    source = os.pathsep.join([str(folder), PYTHONPATH])
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_tutorial_changes_files_that_the_command_writes():
    shown = set(re.findall(r"```python\n# wobble/(\S+)\n", TUTORIAL))
    assert shown <= set(files("wobble", SHAPES["sound-sound"]))


def test_the_tutorial_s_test_runs_as_the_page_says(folder):
    said = re.search(r"^PYTHONPATH=\. python (-m pytest \w+)$", PAGE, re.MULTILINE)
    done = run(folder, *said[1].split(), "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_tutorial_loads_and_sounds(folder):
    loaded = loader.load(folder)
    assert "wobble" not in {f.name for f in loaded.catalog.failures}
    assert loaded.catalog["wobble"].plugin == "wobble"
    assert loaded.catalog["wobble"].doc
    out = run_processor(loaded.make("wobble"), StreamSpec(), np.ones((2, 48000), np.float32), {"depth": 1.0})
    assert out.min() < 0.01 < 0.99 < out.max()
    made = patch.load(folder / "wobble.toml", loaded.catalog, trusted=True)
    assert made.graph.node("wobble").values == {"rate": 6.0}


def test_the_tutorial_s_kernel_plays_the_same_in_machine_code(folder):
    """The page's kernel, with its imports, and `step`, where `process` was."""
    kernel, step = re.findall(r"```python\n(from __future__ [^`]*?@kernel\n.*?|def step.*?)```", TUTORIAL, re.DOTALL)
    numpy = (folder / "wobble" / "processor.py").read_text()
    (folder / "wobble" / "processor.py").write_text(
        kernel + numpy.partition("    def process")[0] + indent(step, "    ")
    )
    loaded = loader.load(folder)
    assert loaded.catalog["wobble"].native
    rng = np.random.default_rng(1)
    sound = rng.normal(0.0, 0.1, (2, 9000)).astype(np.float32)
    given = {"audio": sound, "settings": {"depth": 0.8}, "events": [(1000, "rate", 11.0)], "blocks": [256, 64]}
    scope = {}
    exec(compile(numpy, "processor.py", "exec"), scope)
    wanted = run_processor(scope["Wobble"](), StreamSpec(), **given)
    np.testing.assert_allclose(run_processor(loaded.make("wobble"), StreamSpec(), **given), wanted, atol=1e-5)


@pytest.fixture
def trained(folder):
    """With the model's weights made, as the page says."""
    done = run(folder, "leveller/training.py")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_model_plugin_is_listed_its_weights_verified_and_the_examples_pass_their_tests(trained):
    loaded = loader.load(trained)
    assert not {"leveller", "siren", "beeper"} & {f.name for f in loaded.catalog.failures}
    assert loaded.catalog["leveller"].plugin == "leveller"
    registered, failed = models.known_models(trained)
    (row,) = (row for row in models.examine_models(registered) if row.name == "leveller")
    assert (failed, row.state, row.parameters) == ([], "verified", 2)
    pytest.importorskip("torch")
    done = run(trained, "-m", "pytest", "-q", "-p", "no:cacheprovider", "siren", "beeper", "leveller")
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_the_exported_file_plays(folder, monkeypatch):
    pytest.importorskip("torch")
    home = folder / "home"
    library = home / "data" / "library"
    library.mkdir(parents=True)
    monkeypatch.setenv("ANTIPHON_HOME", str(home))
    done = run(folder, "tones/export.py")
    assert done.returncode == 0, done.stderr
    shutil.copy(folder / "tones.ts", library)
    loaded = loader.load(folder)
    rows = {row.method: row for row in models.files(folder)}
    assert (rows["encode"].outputs, rows["encode"].out_ratio, rows["encode"].rate) == (2, 256, 48000)
    assert (
        patch.load(folder / "tones" / "tones.toml", loaded.catalog, trusted=True).graph.node("sing").values["z1"] == 1.0
    )
    settings = {"file": str(library / "tones.ts"), "method": "decode", "z1": 1.0, "z2": 0.3}
    out = run_processor(loaded.make("model"), StreamSpec(), np.zeros((2, 48000), np.float32), settings)
    assert np.argmax(np.abs(np.fft.rfft(out[0, 24000:]))) == 110  # bins of 2 Hz
    assert abs(np.abs(out).max() - 0.3) < 1e-3


def test_the_synth_is_registered_under_its_name(folder):
    found = synths.choose("beeper", loader.load(folder).factories["synths"])
    assert (found.backend, found.zygote) == ("beeper.backend:Beeper", "none")


def test_every_part_of_a_processor_is_on_the_page():
    told = {n for n, item in vars(Processor).items() if not n.startswith("_") and (callable(item) or n in SET)}
    assert told >= SET
    for name in told - {"settings"}:
        assert re.search(rf"`{name}[`(]", PAGE), name
    for name in [n for n, item in vars(IO).items() if not n.startswith("_") and callable(item)]:
        assert f"`io.{name}(" in PAGE, name


def test_each_hook_is_documented_with_its_exact_signature_and_no_other():
    assert set(re.findall(r"^### (antiphon_\w+)", PAGE, re.MULTILINE)) == {hook.name for hook in HOOKS}
    for hook in HOOKS:
        names = ", ".join(argument.arg for argument in hook.args.args)
        written = f"def {hook.name}({ast.unparse(hook.args)}) -> {ast.unparse(hook.returns)}"
        assert f"\n### {hook.name}({names})\n\n```\n{written}\n```\n" in PAGE


def test_each_hook_has_a_test_named_for_it():
    tests = (ROOT / "tests" / "plugins" / "test_hooks.py").read_text()
    for hook in HOOKS:
        assert re.search(rf'^(async )?def test_hook_{hook.name}\(|^ +"{hook.name}",$', tests, re.MULTILINE), hook.name


def test_the_names_on_the_page_are_those_refused():
    from antiphon.kernel.graph.graph import RESERVED
    from antiphon.kernel.plugins.checks import TAKEN

    said = " ".join(PAGE.split())
    assert "(`bypass mute wet reset type`)" in said
    assert {"bypass", "mute", "wet", "reset", "type"} == TAKEN
    (reserved,) = re.findall(r"`(add remove [a-z ]+)`", said)
    assert set(reserved.split()) == RESERVED
