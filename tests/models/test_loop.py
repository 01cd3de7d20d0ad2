"""A training: it learns, it goes on after a stop as if there had been none, and it keeps a log."""

import json
import os
import signal

import pytest

torch = pytest.importorskip("torch")

from tests.models.toy import Line

from antiphon.cli.command import Command
from antiphon.kernel.errors import UsageError
from antiphon_models.learning import checkpoint, curve, loop
from antiphon_models.learning.loop import Length, Trainer, TrainingError
from antiphon_models.learning.recipe import TrainingJob
from antiphon_models.learning.user_commands import command


def trainer(folder, seed=1, **given) -> Trainer:
    recipe = type("Given", (Line,), given)() if given else Line()
    job = TrainingJob(folder, folder, seed, torch.device("cpu"), lambda line: None)
    recipe.prepare(job)
    return Trainer(recipe, job, folder)


def quiet(done: float, words: str) -> None:
    pass


def weights(trained) -> dict[str, list[float]]:
    return {name: t.flatten().tolist() for name, t in trained.network.state_dict().items()}


def test_a_folder_that_is_refused_leaves_no_folder_of_weights(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds 0 notes"):
        command("train", "notes", tmp_path / "empty", "--out", tmp_path / "mine" / "weights")
    assert not (tmp_path / "mine").exists()


def test_it_learns(tmp_path) -> None:
    trained = trainer(tmp_path).run(Length(200), quiet)
    assert trained.complete
    assert trained.steps == 200
    assert trained.figures["score"] > -1e-3


def test_stopped_and_gone_on_it_is_the_same_to_the_bit(tmp_path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    expected = trainer(whole).run(Length(200), quiet)

    def stop(done: float, words: str) -> None:
        if words == "step 70":
            os.kill(os.getpid(), signal.SIGINT)

    first = trainer(parts).run(Length(200), stop)
    assert not first.complete
    assert first.steps == 70
    second = trainer(parts)
    assert second.step == 70
    trained = second.run(Length(200), quiet)
    assert weights(trained) == weights(expected)
    steps = [row[0] for row in curve.read(parts / "log.csv") if row[1:3] == ("train", "loss")]
    assert steps == [50, 100, 150, 200]


def test_the_best_weights_outlive_a_stop(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(loop, "MIN_APART", 10)

    def half(self, network):
        return {"score": -abs(float(network.weight.detach()) - 0.6 * self.slope)}

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    given = {"validate": half, "keeps_best": True}
    expected = trainer(whole, **given).run(Length(150), quiet)
    scores = [row[3] for row in curve.read(whole / "log.csv") if row[1:3] == ("valid", "score")]
    assert expected.figures["score"] == pytest.approx(max(scores), abs=1e-5)
    assert max(scores) > scores[-1]

    def stop(done: float, words: str) -> None:
        if words == f"step {10 * scores.index(max(scores)) + 55}":
            os.kill(os.getpid(), signal.SIGINT)

    assert not trainer(parts, **given).run(Length(150), stop).complete
    trained = trainer(parts, **given).run(Length(150), quiet)
    assert weights(trained) == weights(expected)
    assert trained.figures == expected.figures


def test_a_batch_without_a_finite_loss_is_left_out_and_counted(tmp_path) -> None:
    trained = trainer(tmp_path, bad=(3, 40)).run(Length(150), quiet)
    assert trained.lost == 2
    assert trained.figures["score"] > -0.01


def test_too_many_of_them_end_it_with_a_sentence(tmp_path) -> None:
    with pytest.raises(TrainingError, match="not finite"):
        trainer(tmp_path, bad=tuple(range(10, 60))).run(Length(300), quiet)


def test_a_broken_checkpoint_is_said_and_not_written_over(tmp_path) -> None:
    (tmp_path / checkpoint.FILE).write_bytes(b"no such thing")
    with pytest.raises(UsageError, match="no checkpoint"):
        trainer(tmp_path)
    assert (tmp_path / checkpoint.FILE).read_bytes() == b"no such thing"


def test_the_command_writes_weights_and_says_how_they_came_about(tmp_path, monkeypatch) -> None:
    from click.testing import CliRunner

    from antiphon.cli.commands import application
    from antiphon.networks import model_files
    from antiphon_models.commands import train

    monkeypatch.setattr(train, "_registered", lambda: {"line": Line})

    app = application()
    out = tmp_path / "weights"
    asked = ["train", "line", "--work", str(tmp_path), "--out", str(out), "--steps", "300", "--seed", "5"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    entry = model_files.entry("line", out)
    assert (entry["steps"], entry["seed"], entry["parameters"], entry["trained_on"]) == (300, 5, 2, "a line")
    slope = float((tmp_path / "line" / "material-5" / "slope.txt").read_text())
    assert model_files.weights("line", out)["weight"][0, 0] == pytest.approx(slope, abs=0.05)
    json.dumps(entry)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ModuleNotFoundError("No module named 'pyworld'", name="pyworld"),
            "line needs pyworld, which is not installed",
        ),
        (FileNotFoundError(2, "No such file", "espeak-ng"), "line needs espeak-ng; sudo apt-get install espeak-ng"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(tmp_path, monkeypatch, error, said) -> None:
    from antiphon_models.commands import train

    def prepare(self, job):
        raise error

    monkeypatch.setattr(train, "_registered", lambda: {"line": type("Lacking", (Line,), {"prepare": prepare})})
    with pytest.raises(UsageError, match=said):
        Command(None, train.train).call(name="line", work=tmp_path, steps=1)


def test_what_a_loss_draws_is_of_its_step(tmp_path) -> None:
    def loss(self, network, batch):
        x, y = batch
        error = (network(x + 0.1 * torch.randn_like(x)) - y).square().mean()
        return error, {}

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    expected = trainer(whole, loss=loss).run(Length(40), quiet)
    trainer(parts, loss=loss).run(
        Length(40), lambda done, words: os.kill(os.getpid(), signal.SIGINT) if words == "step 20" else None
    )
    assert weights(trainer(parts, loss=loss).run(Length(40), quiet)) == weights(expected)


def test_a_trial_leaves_what_ships_alone(tmp_path, monkeypatch) -> None:
    from antiphon.kernel.runtime import resources
    from antiphon.networks import model_files
    from antiphon_models.commands import train

    shipped = tmp_path / "models"
    shipped.mkdir()
    monkeypatch.setattr(resources, "models", lambda: shipped)
    monkeypatch.setattr(train, "_registered", lambda: {"line": Line})
    Command(None, train.train).call(name="line", work=tmp_path / "work", out=None, steps=20)
    assert not list(shipped.iterdir())
    assert model_files.entry("line", tmp_path / "work" / "line" / "weights")["steps"] == 20


def test_material_alone_is_made_whatever_was_trained_before(tmp_path, monkeypatch) -> None:
    from antiphon_models.commands import train

    monkeypatch.setattr(train, "_registered", lambda: {"line": Line})
    Command(None, train.train).call(name="line", work=tmp_path, steps=5)
    Command(None, train.train).call(name="line", work=tmp_path, seed=2, only_material=True)
    assert (tmp_path / "line" / "material-2" / "slope.txt").is_file()


def test_it_begins_with_weights_that_are_there(tmp_path, monkeypatch) -> None:
    from antiphon.networks import model_files
    from antiphon.networks.model_files import ModelError
    from antiphon_models.commands import train

    monkeypatch.setattr(train, "_registered", lambda: {"line": Line})
    first, second = tmp_path / "first", tmp_path / "second"
    Command(None, train.train).call(name="line", work=tmp_path / "a", out=first, steps=120)
    Command(None, train.train).call(name="line", work=tmp_path / "b", out=second, steps=1, begin=first)
    before, after = (model_files.weights("line", folder)["weight"][0, 0] for folder in (first, second))
    assert after == pytest.approx(before, abs=0.01)
    assert model_files.entry("line", second)["began_with"] == model_files.entry("line", first)["sha256"]
    with pytest.raises(ModelError):
        Command(None, train.train).call(name="line", work=tmp_path / "c", out=second, steps=1, begin=tmp_path)
    # gone on with, it is still of those weights; what began otherwise is not said to be
    Command(None, train.train).call(name="line", work=tmp_path / "b", out=second, steps=3)
    assert model_files.entry("line", second)["began_with"] == model_files.entry("line", first)["sha256"]
    with pytest.raises(UsageError, match="leave --from out, or add --restart"):
        Command(None, train.train).call(name="line", work=tmp_path / "a", out=second, steps=121, begin=second)
    Command(None, train.train).call(name="line", work=tmp_path / "a", out=second, steps=1, begin=first, restart=True)
    assert model_files.entry("line", second)["began_with"] == model_files.entry("line", first)["sha256"]
