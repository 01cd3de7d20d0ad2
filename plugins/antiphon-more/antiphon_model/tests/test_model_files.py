"""Model files of others: what is found in them, and what is refused, in one sentence and without being run."""

import contextlib
import hashlib
import io
import json
import mmap
import os
import pickle
import re
import signal
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import pytest
from tests.waiting import until

from antiphon.api.backends.models import ModelError
from antiphon.doctor import software
from antiphon.networks import info, onnx_wire
from antiphon_model import landlock, model_file, probe
from antiphon_model.tests import exports
from antiphon_model.tests.exports import refusal


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "gone off")


def test_a_convolution_is_described_and_its_latency_measured() -> None:
    pytest.importorskip("torch")
    said = probe.describe(exports.torch_convolution())
    (method,) = said["methods"]
    assert (said["format"], said["rate"], said["hop"], said["fixed"]) == ("torchscript", 48000, 1, False)
    assert (method["name"], method["latency"], method["source"]) == ("forward", exports.PEAK, "measured")


def test_a_codec_has_ratios_and_attributes() -> None:
    pytest.importorskip("torch")
    said = probe.describe(exports.torch_codec(256, 24000))
    methods = {m["name"]: m for m in said["methods"]}
    assert list(methods) == ["encode", "decode", "forward"]
    assert [methods["encode"][k] for k in ("inputs", "in_ratio", "outputs", "out_ratio")] == [1, 1, 2, 256]
    assert [methods["decode"][k] for k in ("inputs", "in_ratio", "outputs", "out_ratio")] == [2, 256, 1, 1]
    assert (said["rate"], said["hop"], said["attributes"]) == (24000, 256, [["gain", "float"]])
    assert methods["decode"]["source"] == "assumed"


def nest_graphs(count: int) -> bytes:
    """Bytes of a model with a graph, in a node of which is a graph, and so on."""
    inner = b""
    for field in (6, 5, 1) * (count - 1):
        inner = field_bytes(field, inner)
    return field_bytes(7, inner)


def field_bytes(field: int, data: bytes) -> bytes:
    """A field of bytes as protobuf has it."""
    size, length = len(data), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([field << 3 | 2, *length, size]) + data


def test_onnx_graphs_nested_too_deep_are_no_model() -> None:
    onnx_wire.check(nest_graphs(16))
    with pytest.raises(ModelError, match="it is no ONNX model"):
        onnx_wire.check(nest_graphs(1000))


def test_an_onnx_file_with_states_is_described() -> None:
    exports.needs_onnx()
    said = probe.describe(exports.onnx_convolution(480, rate=32000))
    (method,) = said["methods"]
    assert (said["format"], said["rate"], said["hop"], said["fixed"]) == ("onnx", 32000, 480, True)
    assert (method["latency"], method["source"]) == (exports.PEAK, "measured")
    (method,) = probe.describe(exports.onnx_convolution(480, latency=7))["methods"]
    assert (method["latency"], method["source"]) == (7, "declared")


@pytest.mark.parametrize(("model", "ratios"), [(exports.onnx_mean, (1, 256)), (exports.onnx_steps, (256, 1))])
def test_the_ratios_of_an_onnx_file_are_those_of_its_answer(model, ratios: tuple[int, int]) -> None:
    exports.needs_onnx()
    said = probe.describe(model())
    (method,) = said["methods"]
    assert ((method["in_ratio"], method["out_ratio"]), said["hop"], method["problem"]) == (ratios, 256, "")


def test_any_hop_is_made_a_multiple_of_the_ratio() -> None:
    file = model_file.ModelFile("x.ts", "", 0, "torchscript", 0, 2048, False, ())
    assert [file.choose_hop(n) for n in (0, 1, 2048, 2049)] == [2048, 2048, 2048, 4096]
    fixed = model_file.ModelFile("x.onnx", "", 0, "onnx", 0, 480, True, ())
    assert fixed.choose_hop(0) == fixed.choose_hop(480) == 480
    with pytest.raises(ModelError, match="takes hops of 480 frames, not 512"):
        fixed.choose_hop(512)


def test_no_pickle_is_loaded(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    assert "pickle" in refusal(pickle.dumps(Bomb(sign)))
    torch = pytest.importorskip("torch")
    out = io.BytesIO()
    torch.save(Bomb(sign), out)
    assert "torch.save" in refusal(out.getvalue())
    # a script archive whose data are such a pickle
    whole = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(exports.torch_convolution())) as good, zipfile.ZipFile(whole, "w") as bad:
        for part in good.infolist():
            data = pickle.dumps(Bomb(sign), 2) if part.filename.endswith("/data.pkl") else good.read(part)
            bad.writestr(part.filename, data)
    assert "cannot load it" in refusal(whole.getvalue())
    assert not sign.exists()


def archive(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in parts.items():
            zipped.writestr(name, data)
    return out.getvalue()


def test_what_is_no_model_is_refused() -> None:
    assert "no TorchScript model" in refusal(archive({"a/readme": b"hello"}))
    assert "neither" in refusal(b"RIFF....WAVEfmt ")
    bomb = {"a/data.pkl": b"x", "a/constants.pkl": b"x", "a/code/a.py": bytes(17 << 20)}
    assert "16 MB" in refusal(archive(bomb))
    many = {f"a/{n}": b"" for n in range(20_010)}
    assert "20000 parts" in refusal(archive(many))


def test_a_file_that_was_cut_short_is_refused() -> None:
    pytest.importorskip("torch")
    whole = exports.torch_convolution()
    for size in (4, 100, len(whole) // 2, len(whole) - 10):
        assert refusal(whole[:size])


def hidden_code() -> tuple[dict[str, bytes], str]:
    """The parts of a model whose code reads a file, by their names without the folder, and the name of that code."""
    torch = pytest.importorskip("torch")

    class Reader(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.from_file("/etc/hostname", False, 1).mean()

    out = io.BytesIO()
    torch.jit.save(torch.jit.script(Reader()), out)
    with zipfile.ZipFile(out) as whole:
        parts = {part.filename.partition("/")[2]: whole.read(part) for part in whole.infolist()}
    return parts, next(name for name in parts if b"from_file" in parts[name] and name.endswith(".py"))


def repacked(parts: dict[str, bytes]) -> bytes:
    return archive({f"m/{name}": data for name, data in parts.items()})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("CODE/__torch__.py", "has a part"),
        ("Code/__torch__.py", "has a part"),
        ("code/__torch__.PY", "has a part"),
        ("code/__TORCH__.py", "cannot load it|aten::from_file"),
    ],
)
def test_code_is_found_whatever_the_case_of_its_name(name: str, reason: str) -> None:
    """torch finds parts of an archive whatever the case of their names."""
    parts, code = hidden_code()
    text = parts.pop(code)
    assert re.search(reason, refusal(repacked({**parts, name: text, "code/decoy.py": b"x = 1\n"})))


def test_two_parts_of_one_name_are_refused() -> None:
    parts, code = hidden_code()
    upper = code.replace("__torch__", "__Torch__")
    assert "two parts of one name" in refusal(repacked({upper: parts[code], **parts, code: b"x = 1\n"}))
    two_folders = archive({**{f"m/{name}": data for name, data in parts.items()}, "n/code/x.py": b"x = 1\n"})
    assert refusal(two_folders)


def test_a_directory_that_zipfile_does_not_read_is_refused() -> None:
    """miniz reads it where the end says it is, zipfile before the end."""
    parts, code = hidden_code()
    evil, good = repacked(parts), repacked({**parts, code: b"x = 1\n"})
    (begin,) = struct.unpack_from("<I", evil, len(evil) - 6)
    both = bytearray(evil[:-22] + good)
    struct.pack_into("<I", both, len(both) - 6, begin)
    with zipfile.ZipFile(io.BytesIO(both)) as seen:
        assert seen.start_dir > begin
    assert "two directories" in refusal(bytes(both))
    assert refusal(evil + b"\0" * 30)


def test_a_part_with_two_sizes_is_refused() -> None:
    parts, code = hidden_code()
    text = b"x = 1\n" + parts[code]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as whole:
        for name, data in {**parts, code: text}.items():
            whole.writestr(f"m/{name}", data)
        info = whole.getinfo(f"m/{code}")
        info.CRC, info.compress_size = zlib.crc32(b"x = 1\n"), 6
    with zipfile.ZipFile(out) as seen:
        assert seen.read(f"m/{code}") == b"x = 1\n"
    assert "two sizes" in refusal(out.getvalue())


def test_methods_that_do_not_keep_their_word_are_refused() -> None:
    torch = pytest.importorskip("torch")

    class Wrong(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name in ("forward", "nan", "raises"):
                self.register_buffer(f"{name}_params", torch.tensor([1, 1, 1, 1]))

        @torch.jit.export
        def nan(self, x: torch.Tensor) -> torch.Tensor:
            return x / torch.zeros_like(x)

        @torch.jit.export
        def raises(self, x: torch.Tensor) -> torch.Tensor:
            if x.dim() == 3:
                raise ValueError("not today")
            return x

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., 1:]

    problems = {m["name"]: m["problem"] for m in probe.describe(exports.scripted(Wrong()))["methods"]}
    assert "instead of [1, 512]" in problems["forward"]
    assert "NaN" in problems["nan"]
    assert "not today" in problems["raises"]


def test_a_declaration_out_of_range_is_refused() -> None:
    torch = pytest.importorskip("torch")

    class Greedy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("forward_params", torch.tensor([1, 1, 100000, 1]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    assert "100000 channels out; 1 to 64" in refusal(exports.scripted(Greedy()))


def test_onnx_files_that_are_none_are_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    good = exports.onnx_convolution()
    for data in (good[:40], good[: len(good) // 2], b"\x08\x09" + bytes(40), b"\x08\x09"):
        assert "ONNX" in refusal(data) or "onnxruntime" in refusal(data)
    node = onnx.helper.make_node
    strange = exports.onnx_model(
        [node("Evil", ["x"], ["y"], domain="evil")], {"x": (1, 1, 8)}, {"y": (1, 1, 8)}, domains=["evil"]
    )
    assert "onnxruntime cannot load it" in refusal(strange)
    two = exports.onnx_model([node("Add", ["a", "b"], ["y"])], {"a": (1, 1, 8), "b": (1, 1, 8)}, {"y": (1, 1, 8)})
    assert "2 inputs (a, b)" in refusal(two)
    assert "rate 'loud'" in refusal(exports.onnx_gain(rate="loud"))


def test_onnx_keeps_to_its_own_file(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(exports.onnx_gain())
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    assert "another file" in refusal(model.SerializeToString())
    # inside a node, where a constant's value is
    inner = onnx.helper.make_node("Constant", [], ["by"], value=tensor)
    model.graph.node.insert(0, inner)
    del model.graph.initializer[:]
    assert "another file" in refusal(model.SerializeToString())


def test_a_file_is_tried_once_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exports.needs_onnx()
    path = exports.saved(tmp_path / "gain.onnx", exports.onnx_gain(rate=44100))
    first = model_file.describe(str(path))
    assert (first.rate, first.bytes, first.method("forward").latency) == (44100, path.stat().st_size, 0)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was described already")

    monkeypatch.setattr(model_file, "spawn", never)
    assert model_file.describe(str(path)) == first
    with pytest.raises(ModelError, match="no method 'decode'; it has: forward"):
        first.method("decode")


def test_a_process_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exports.needs_onnx()
    monkeypatch.setattr(model_file, "PROBE_SECONDS", 2.0)
    path = exports.saved(tmp_path / "hang.onnx", exports.onnx_trap("hang", -1.0))
    with pytest.raises(ModelError, match=r"not tried within [26] s"):
        model_file.describe(str(path))


def test_a_file_that_wants_all_memory_is_refused() -> None:
    exports.needs_onnx()
    assert "cannot compute a hop of 480 values" in refusal(exports.onnx_trap("memory", -1.0))


def test_one_who_does_not_wait_finds_it_later(tmp_path: Path) -> None:
    exports.needs_onnx()
    path = str(exports.saved(tmp_path / "gain.onnx", exports.onnx_gain()))
    with pytest.raises(model_file.UntestedFile, match="load it again"):
        model_file.describe(path, 0.0)
    cache_file = model_file.cache_for(hashlib.sha256(Path(path).read_bytes()).hexdigest())
    until(cache_file.exists, 10.0, "the process that tries it has gone on")
    assert model_file.describe(path, 0.0).format == "onnx"


def test_a_refusal_holds_for_a_while(tmp_path: Path, antiphon_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(exports.saved(tmp_path / "bad.ts", b"no model"))
    with pytest.raises(ModelError, match=r"bad\.ts: it is neither"):
        model_file.describe(path)
    monkeypatch.setattr(model_file, "spawn", None)
    with pytest.raises(ModelError, match=r"bad\.ts: it is neither"):
        model_file.describe(path)
    (refusal,) = (antiphon_home / "cache" / "models").glob("*.refused")
    refusal.write_text(json.dumps({**json.loads(refusal.read_text()), "until": time.time() - 1.0}))
    with pytest.raises(TypeError):
        model_file.describe(path)


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (["song/audio.wav"], "it is a zip archive, but no TorchScript model"),
        (["net/data.pkl", "net/data/0"], "it was saved with torch.save, as a pickle"),
        ([f"net/{name}" for name in ("data.pkl", "constants.pkl", "code/a.py")], "torch was imported"),
    ],
)
def test_torch_is_imported_for_archives_with_the_names_of_a_script_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], refused: str
) -> None:
    def imported(_name: str) -> None:
        raise ModelError("torch was imported")

    monkeypatch.setattr(probe.importlib, "import_module", imported)
    for name in ("limit_resources", "restrict_process"):
        monkeypatch.setattr(probe, name, lambda **_: None)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as made:
        for name in names:
            made.writestr(name, b"")
    try:
        answer = probe._describe_confined(str(exports.saved(tmp_path / "some.ts", whole.getvalue())), 600.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    assert answer["refused"].startswith(refused)


def test_a_confined_process_changes_nothing(tmp_path: Path) -> None:
    """Also a file that exists, which a limit on a file's size does not keep: it can be mapped and written.

    A device node that is named can still be opened."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    there = tmp_path / "there"
    there.write_bytes(b"as it was")
    pid = os.fork()
    if pid == 0:
        landlock.restrict_process(("null",))
        done = 0
        try:
            os.close(os.open("/dev/null", os.O_WRONLY))
            with contextlib.suppress(PermissionError) if landlock.landlock_version() else contextlib.nullcontext():
                os.close(os.open("/dev/zero", os.O_WRONLY))
                assert not landlock.landlock_version()
            assert there.read_bytes() == b"as it was"
            with contextlib.suppress(OSError), open(tmp_path / "new", "wb") as file:
                file.write(b"x" * 10)
            with contextlib.suppress(OSError), open(there, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
                mapped[:2] = b"is"
        except BaseException:
            done = 1
        finally:
            os._exit(done)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    new = tmp_path / "new"
    assert not new.exists() or not new.read_bytes()
    if landlock.landlock_version():
        assert there.read_bytes() == b"as it was"


IMPORTING = """
import importlib.abc, sys, tempfile

class Importing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torch":
            tempfile.TemporaryFile().close()

sys.meta_path.insert(0, Importing())

from antiphon.api.backends.workers import WorkerSpec
from antiphon_model import probe, worker

path, where = sys.argv[1:]
if where == "probe":
    answer = probe._describe_confined(path, 30.0)
    sys.exit(answer.get("refused", 0))
settings = {"path": path, "sha256": probe.hashlib.sha256(open(path, "rb").read()).hexdigest(), "method": "forward"}
spec = WorkerSpec("net", "", hop=512, inputs=(1, 512), outputs=(1, 512), slots=1, settings=settings)
worker.build_torchscript(spec).warm()
"""
"""A program in which the import of torch opens a temporary file, as with cuda.pathfinder beside it."""


@pytest.mark.parametrize("where", ["probe", "worker"])
def test_torch_may_write_while_it_is_imported(tmp_path: Path, where: str) -> None:
    pytest.importorskip("torch")
    path = exports.saved(tmp_path / "c.ts", exports.torch_convolution())
    end = subprocess.run([sys.executable, "-c", IMPORTING, str(path), where], cwd=tmp_path)
    assert end.returncode == 0


def test_files_that_cannot_be_read_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="is not there"):
        model_file.describe(str(tmp_path / "none.ts"))
    with pytest.raises(ModelError, match="is empty"):
        model_file.describe(str(exports.saved(tmp_path / "empty.ts", b"")))
    for name in ("take.wav", "take", "take.mid"):
        with pytest.raises(ModelError, match="is no model file"):
            model_file.describe(str(exports.saved(tmp_path / name, b"PK\x03\x04")))
    monkeypatch.setattr(model_file, "MAX_BYTES", 10)
    with pytest.raises(ModelError, match="larger than"):
        model_file.describe(str(exports.saved(tmp_path / "large.ts", bytes(11))))


def test_the_library_is_listed(antiphon_home: Path) -> None:
    exports.needs_onnx()
    assert not info.files()
    assert not list(software.check_model_files())
    library = antiphon_home / "data" / "library"
    library.mkdir(parents=True)
    exports.known(exports.saved(library / "gain.onnx", exports.onnx_gain(rate=44100)))
    exports.saved(library / "kick.wav", b"RIFF")
    (row,) = info.files()
    assert (row.file, row.method, row.rate, row.source, row.problem) == ("gain.onnx", "forward", 44100, "measured", "")
    (finding,) = software.check_model_files()
    assert (finding.state, finding.text) == ("works", "1 of 1 in the library can be played")
    exports.saved(library / "broken.ts", b"nothing")
    bad, good = info.files()
    assert good == row
    assert "neither a TorchScript archive" in bad.problem
    (finding,) = software.check_model_files()
    assert (finding.state, "broken.ts" in finding.text) == ("limited", True)


def test_a_model_file_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"one")
    first = model_file._checksum(str(path))
    assert first == (hashlib.sha256(b"one").hexdigest(), 3)
    with monkeypatch.context() as patched:
        patched.delattr(hashlib, "file_digest")
        assert model_file._checksum(str(path)) == first
    path.write_bytes(b"other")
    assert model_file._checksum(str(path)) == (hashlib.sha256(b"other").hexdigest(), 5)
