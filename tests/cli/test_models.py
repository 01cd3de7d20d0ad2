"""`antiphon models`: lists what there is, says what is wrong with it, and ends accordingly."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from antiphon.cli import errors
from antiphon.cli.command import CommandGroup
from antiphon.cli.plugin_commands import build_operation_command
from antiphon.kernel.runtime import resources
from antiphon.kernel.workers import devices
from antiphon.networks import info, model_files
from antiphon.networks.info import ModelInfo
from antiphon.operations.lists import LISTS

Run = Callable[..., tuple[int, str, list[str]]]
BESIDE = ModelInfo("beside", "its.network:Net", "denoise-gate", "test", devices=("cpu",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the weights that ship."""
    return Path(shutil.copytree(resources.models(), tmp_path / "models"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command with one plugin's models; its exit code, output and complaints."""
    app = CommandGroup(None)
    app.command("models")(build_operation_command(LISTS["models"]))

    def go(*arguments: object, known: tuple[ModelInfo, ...] = (), failed: tuple[str, ...] = ()) -> tuple:
        with monkeypatch.context() as patch:
            patch.setattr(info, "known_models", lambda _: ({info.name: info for info in known}, list(failed)))
            code = errors.run(app, ["models", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert all(line.startswith("antiphon: ") for line in err.splitlines())
        return code, out, [line.removeprefix("antiphon: ") for line in err.splitlines()]

    return go


@pytest.mark.needs("denoise")
def test_what_ships_verifies(run: Run) -> None:
    code, out, said = run()
    assert (code, said) == (0, [])
    for name in model_files.names():
        (line,) = (line for line in out.splitlines() if line.split()[0] == name)
        assert line.endswith("verified")
        assert f"{model_files.entry(name)['parameters']:,}" in line
        assert model_files.entry(name)["file"] in line


@pytest.mark.needs("denoise")
def test_each_fault_is_one_sentence_and_the_rest_is_listed(run: Run, folder: Path) -> None:
    assert run("--models-dir", folder)[0] == 0
    data = bytearray((folder / "reference.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "reference.safetensors").write_bytes(data)
    (folder / "denoise-gate.safetensors").unlink()
    model_files.write("fine", model_files.weights("reference"), folder, {"plugin": "test"})
    code, out, said = run("--models-dir", folder)
    assert code == 1
    assert len(said) == 2
    assert said[0].startswith("denoise-gate: cannot read ")
    assert said[1].startswith("reference: the weights reference.safetensors are not those of the manifest")
    states = {line.split()[0]: line.split()[-1] for line in out.splitlines()}
    assert (states["denoise-gate"], states["reference"], states["fine"]) == ("missing", "changed", "verified")


@pytest.mark.needs("denoise")
def test_json_says_the_same(run: Run, folder: Path) -> None:
    (folder / "reference.safetensors").write_bytes(b"\0" * 70_000)
    code, out, said = run("--json", "--models-dir", folder, known=(BESIDE,))
    told = json.loads(out)
    assert code == 1
    rows = {row["name"]: row for row in told["models"]}
    assert {"beside", "reference"} <= set(rows)
    assert (rows["reference"]["state"], rows["reference"]["bytes"]) == ("changed", 70_000)
    assert rows["reference"]["problem"] == said[0]
    assert rows["beside"]["state"] == "verified"
    assert rows["beside"]["parameters"] == model_files.entry("denoise-gate")["parameters"]
    build = devices.installed_torch()
    assert told["torch"] == (build.version if build else None)
    assert told["device"] in rows["beside"]["devices"] or told["device"] == "cuda"


def test_a_model_may_bring_weights_of_its_own(run: Run, folder: Path, tmp_path: Path) -> None:
    import numpy as np

    own = tmp_path / "own"
    own.mkdir()
    model_files.write("mine", {"w": np.zeros((7, 11), np.float32)}, own, {})
    info = ModelInfo("mine", "its.network:Net", "mine", "test", folder=str(own))
    code, out, _ = run(known=(info,))
    assert code == 0
    assert "77" in next(line for line in out.splitlines() if line.startswith("mine"))
    # Antiphon's own manifest is looked at all the same
    assert run("--models-dir", tmp_path, known=(info,))[0] == 1
    (own / "mine.safetensors").unlink()
    assert run(known=(info,))[0] == 1


def test_a_model_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "plugins" / "oddmodels"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from antiphon.kernel.contract.hookspecs import hookimpl\n"
        "@hookimpl\n"
        "def antiphon_models(register):\n"
        "    register('raising', lambda: 1 / 0)\n"
        "    register('seven', lambda: 7)\n"
        "    register('absent', 'oddmodels.nothing:Here')\n"
    )
    found, failed = info.known_models(tmp_path / "plugins")
    assert not {"raising", "seven", "absent"} & set(found)
    told = {text.partition(" cannot")[0].partition(" gave")[0]: text for text in failed}
    assert "ZeroDivisionError" in told["the model raising"]
    assert "ModuleNotFoundError" in told["the model absent"]
    assert "gave int, not a ModelInfo" in told["the factory of the model seven"]
