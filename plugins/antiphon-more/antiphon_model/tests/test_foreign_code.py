"""What TorchScript of others may do: operators that reach files are refused, however their names are written."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.each import each

from antiphon_model import probe
from antiphon_model.tests import exports
from antiphon_model.tests.exports import refusal

torch = pytest.importorskip("torch")

from antiphon_model import torchscript

PLACE = "torch.neg(x)"
"""A call in the code of `Plain`, in whose place the tests write another."""
MARK = "    inner = self.inner\n"
"""A line of that code."""


class Inner(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(x)


class Plain(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(torch.neg(x))


def rewritten(change: Callable[[str], str]) -> bytes:
    """The archive of `Plain` with its code changed."""
    out, changed = io.BytesIO(), 0
    with (
        zipfile.ZipFile(io.BytesIO(exports.scripted(Plain()))) as whole,
        zipfile.ZipFile(out, "w") as other,
    ):
        for part in whole.infolist():
            data = whole.read(part)
            if part.filename.endswith(".py"):
                text = change(data.decode())
                changed += text != data.decode()
                data = text.encode()
            other.writestr(part.filename, data)
    assert changed == 1
    return out.getvalue()


def reading(path: Path, call: str = "torch.from_file") -> str:
    return f'{call}("{path}", False, 1, dtype=6)'


@pytest.mark.parametrize(
    "call",
    [
        "torch.from_file",
        'getattr(torch, "from_file")',
        'getattr(torch, "from_" "file")',
        'getattr(torch, "\\146rom_file")',
        "ops.aten.from_file",
        'getattr(ops.aten, "from_file")',
        'getattr(getattr(ops, "aten"), "from_file")',
    ],
)
def test_a_file_is_not_read_by_any_name(tmp_path: Path, call: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\0\0\x80?")  # 1.0
    evil = rewritten(lambda code: code.replace(PLACE, f"torch.add(x, {reading(secret, call)})"))
    played = torch.jit.load(io.BytesIO(evil))(torch.zeros(1, 1, 1))
    assert played.item() == pytest.approx(2.7182817)  # the check is needed: torch reads the file
    assert "'aten::from_file'" in refusal(evil)


@each(
    "old, new",
    [
        ("torch.exp(x)", "torch.add(x, {})"),  # in a submodule
        (MARK, "    def _f():\n      return {}\n    print(torch.wait(fork(_f)))\n" + MARK),
        (MARK, MARK + "    if bool(torch.gt(torch.sum(x), 9)):\n      print({})\n    else:\n      pass\n"),
        (MARK, '    t = torch\n    print(getattr(t, "from_file")("/etc/hostname", False, 1))\n' + MARK),
        (MARK, '    torch.save(x, "/tmp/x")\n' + MARK),
        (MARK, '    getattr(torch, "save")(x, "/tmp/x")\n' + MARK),
    ],
)
def test_no_place_hides_an_operator(tmp_path: Path, old: str, new: str) -> None:
    evil = rewritten(lambda code: code.replace(old, new.format(reading(tmp_path / "secret"))))
    said = refusal(evil)
    assert any(name in said for name in ("'aten::from_file'", "'aten::save'", "'prim::fork'", "aten::wait")), said


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("x: Tensor)", "x: Tensor, q: Tensor={})", "an argument of forward"),
        ("  training : bool\n", "  training : bool\n  k : Final[Tensor] = {}\n", "a value of Plain"),
        ("  def forward", "  def __setstate__(self, t: int) -> None:\n    y = {}\n  def forward", "__setstate__"),
    ],
)
def test_what_torch_runs_while_it_loads_is_refused_before(tmp_path: Path, old: str, new: str, word: str) -> None:
    for call in ("torch.from_file", 'getattr(torch, "from_file")'):
        line = new.format(reading(tmp_path / "none", call))
        evil = rewritten(
            lambda code: code.replace(old, line, 1) if "class Plain" in code else code  # noqa: B023
        )
        assert word in refusal(evil)


@each(
    "line",
    [
        "    y = 'a' '''\n'''\n",
        '    y = """\n"""\n',
        "    y = 1 # torch.from_file\n",
        "    y = 1\r\n",
        "    y = \\\n  1\n",
        "\ty = 1\n",
        "    y = 'é'\n",
        "    y = (1\n",
        "    y = " + "(" * 20000 + "\n",
    ],
)
def test_text_that_torch_does_not_write_is_refused(line: str) -> None:
    said = refusal(rewritten(lambda code: code.replace(MARK, line + MARK)))
    assert "its code" in said
    assert "torch" in said


def test_objects_of_torchs_own_classes_are_refused() -> None:
    line = "    s = __torch__.torch.classes.cuda.Stream(None, 0, )\n"
    said = refusal(rewritten(lambda code: code.replace(MARK, line + MARK)))
    assert "torch.classes" in said or "cannot load it" in said


def test_what_networks_are_written_with_is_allowed() -> None:
    """Layers of many kinds, as script and traced, a loop, texts and dictionaries."""

    class Many(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            wide = {"batch_first": True}
            self.first = torch.nn.Sequential(
                torch.nn.Conv1d(1, 8, 3, padding=1), torch.nn.LeakyReLU(), torch.nn.BatchNorm1d(8), torch.nn.ELU(),
                torch.nn.GELU(), torch.nn.GroupNorm(2, 8), torch.nn.Dropout(0.1),
            )  # fmt: skip
            self.gru, self.lstm = torch.nn.GRU(8, 8, **wide), torch.nn.LSTM(8, 8, **wide)
            self.attention = torch.nn.MultiheadAttention(8, 2, **wide)
            self.layer = torch.nn.TransformerEncoderLayer(8, 2, 16, **wide)
            self.norm, self.words = torch.nn.LayerNorm(8), torch.nn.Embedding(4, 8)
            self.up = torch.nn.ConvTranspose1d(8, 1, 2, stride=2)
            self.register_buffer("window", torch.hann_window(64))
            self.past: dict[str, torch.Tensor] = {"x": torch.zeros(1)}

        @torch.jit.export
        def helped(self, x: torch.Tensor, inf: float = float("inf")) -> torch.Tensor:
            return torch.clamp(x, max=inf)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.dim() != 3:
                raise ValueError(f"expected 3 dimensions # not {x.dim()}")
            y = self.first(x).transpose(1, 2)
            y, _ = self.gru(y)
            y, _ = self.lstm(y)
            with torch.no_grad():
                y = y + self.attention(y, y, y)[0]
            y = self.norm(self.layer(y)) + self.words(torch.zeros(1, dtype=torch.long))
            for k in range(2):
                y = y * (k + 0.5)
            self.past["x"] = y[:, -1]
            spectrum = torch.stft(x[:, 0], 64, 16, window=self.window, return_complex=True)
            back = torch.istft(spectrum * torch.exp(1j * spectrum.angle()), 64, 16, window=self.window)
            z = self.up(y.transpose(1, 2))
            z = torch.nn.functional.interpolate(z, scale_factor=0.5, mode="linear")
            noise = torch.randn_like(z) * torch.fft.irfft(torch.fft.rfft(z)).abs().mean()
            return torch.nn.functional.pad(z[..., : back.shape[-1]] + noise[..., : back.shape[-1]], [0, 0])

    many = Many().eval()
    for data in (exports.scripted(many), _traced(many)):
        (method,) = probe.describe(data)["methods"]
        assert method["name"] == "forward"
        assert method["problem"] == ""


def _traced(module: torch.nn.Module) -> bytes:
    out = io.BytesIO()
    torch.jit.save(torch.jit.trace(module, torch.zeros(1, 1, 512), check_trace=False), out)
    return out.getvalue()


def test_operators_that_reach_beyond_are_not_listed() -> None:
    beyond = "from_file", "save", "set_", "as_strided", "record_stream", "set_data", "pin_memory", "resize_", "wait"
    assert not {f"aten::{name}" for name in beyond} & torchscript.ALLOWED
    known = {schema.name for schema in torch._C._jit_get_all_schemas()}
    assert sum(name in known for name in torchscript.ALLOWED) > 700
