"""Runs a TorchScript file by nn~'s convention, in a worker or in the probe. Imports torch.

The convention (of the nn~ objects for Max and Pure Data, which RAVE's exports follow): for each method a tensor
`NAME_params` = [channels in, ratio in, channels out, ratio out], where a ratio is the number of frames per value; a
method takes and returns float32 `[batch, channels, values]`. `get_methods` and `get_attributes` list names; an
attribute has `get_NAME`, `set_NAME` and the kinds of its values in `NAME_params` (0 bool, 1 int, 2 float, 3 str). A
method keeps its state (cached convolutions) in the module, so each stream needs a copy.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.jit._recursive import wrap_cpp_module

from antiphon.api import Samples
from antiphon.api.backends.models import ModelError
from antiphon_model import archive
from antiphon_model.landlock import Run, sentence

# ---- Operator allowlist of TorchScript files, checked on torch's graphs of their code

_ARITHMETIC = """
abs absolute acos acosh add addcdiv addcmul addmm addmv addbmm asin asinh atan atan2 atanh arccos arcsin arctan
arctan2 baddbmm bitwise_and bitwise_not bitwise_or bitwise_xor ceil clamp clamp_max clamp_min clip copysign cos cosh
deg2rad div divide erf erfc erfinv exp exp2 expm1 fill float_power floor floor_divide fmod frac ge greater
greater_equal gt hypot i0 le lerp less less_equal lgamma log log10 log1p log2 logical_and logical_not logical_or
logical_xor logit lt mul multiply nan_to_num ne neg negative not_equal pow rad2deg reciprocal remainder renorm round
rsqrt sigmoid sign sgn sin sinc sinh sqrt square sub subtract tan tanh true_divide trunc xlogy eq
"""
"""Operators that also have an in-place form, NAME_."""
_TENSORS = """
alias all allclose amax amin aminmax angle any arange argmax argmin argsort as_tensor atleast_1d atleast_2d atleast_3d
bmm broadcast_tensors broadcast_to bucketize cat cdist chunk clone column_stack complex concat conj contiguous copy_
corrcoef cross cummax cummin cumprod cumsum cumulative_trapezoid detach detach_ diag diag_embed diagonal diff dim dist
dot dstack einsum empty empty_like equal expand expand_as eye fft_fft fft_fft2 fft_fftfreq fft_fftn fft_fftshift
fft_hfft fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_ihfft fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2
fft_rfftfreq fft_rfftn flatten flip fliplr flipud fmax fmin full full_like gather glu gradient heaviside histc hstack
imag index index_add index_add_ index_copy index_copy_ index_fill index_fill_ index_put index_put_ index_select inner
isclose isfinite isin isinf isnan istft item kron kthvalue lift lift_fresh linspace log_normal_ logaddexp logaddexp2
logcumsumexp logspace logsumexp masked_fill masked_fill_ masked_scatter masked_scatter_ masked_select matmul max
maximum mean median meshgrid min minimum mm mode moveaxis movedim msort mv narrow nanmean nansum new_empty new_full
new_ones new_zeros nonzero norm normal normal_ numel ones ones_like outer pad permute polar positive prod quantile
rand rand_like randint randint_like randn randn_like randperm bernoulli bernoulli_ exponential_ multinomial random_
uniform_ manual_seed real repeat repeat_interleave requires_grad_ reshape reshape_as resolve_conj resolve_neg roll
rot90 rsub scalar_tensor scatter scatter_ scatter_add scatter_add_ scatter_reduce searchsorted select select_scatter
size slice slice_scatter sort split split_with_sizes squeeze squeeze_ stack std std_mean stft sum sum_to_size swapaxes
swapdims t take take_along_dim tensor tensor_split tensordot tile to topk trace transpose transpose_ trapezoid tril
tril_ triu triu_ tril_indices triu_indices type_as unbind unflatten unfold unsafe_chunk unsafe_split unsqueeze
unsqueeze_ vander var var_mean view view_as view_as_complex view_as_real vstack where zero_ zeros zeros_like
linalg_norm linalg_vector_norm linalg_matrix_norm linalg_cross linalg_inv linalg_qr linalg_solve linalg_svd inverse mH
mT bartlett_window blackman_window hamming_window hann_window kaiser_window data
"""
_NETWORKS = """
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d alpha_dropout alpha_dropout_
avg_pool1d avg_pool2d avg_pool3d batch_norm bilinear celu celu_ channel_shuffle col2im constant_pad_nd conv1d conv2d
conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution _convolution _convolution_mode cosine_similarity
dropout dropout_ elu elu_ embedding feature_dropout gelu gelu_ grid_sampler grid_sampler_2d group_norm gru gru_cell
hardshrink hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh hardtanh_ im2col instance_norm l1_loss layer_norm
leaky_relu leaky_relu_ linear log_sigmoid log_softmax _log_softmax lstm lstm_cell max_pool1d max_pool1d_with_indices
max_pool2d max_pool2d_with_indices mish mish_ mse_loss native_layer_norm native_group_norm one_hot pairwise_distance
pixel_shuffle pixel_unshuffle prelu reflection_pad1d reflection_pad2d relu relu6 relu6_ relu_ replication_pad1d
replication_pad2d rms_norm rnn_relu rnn_tanh rnn_relu_cell rnn_tanh_cell rrelu scaled_dot_product_attention selu selu_
silu silu_ smooth_l1_loss softmax _softmax softplus softshrink threshold threshold_ upsample_bicubic2d
upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d _upsample_nearest_exact1d _weight_norm
_weight_norm_interface __interpolate __upsample __upsample_bilinear __upsample_nearest _native_multi_head_attention
_transformer_encoder_layer_fwd _nested_tensor_from_mask _nested_tensor_from_mask_left_aligned to_padded_tensor
_upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_lanczos2d_aa _upsample_nearest_exact2d
_upsample_nearest_exact3d adaptive_avg_pool3d affine_grid_generator feature_dropout_ max_pool3d rrelu_
upsample_nearest3d upsample_trilinear3d _cast_Float _cast_Double _cast_Long _cast_Int _shape_as_tensor _unsafe_view
"""
_SCRIPT = """
Bool Complex ComplexImplicit Delete Float FloatImplicit Int IntImplicit ScalarImplicit __and__ __contains__
__derive_index __getitem__ __is__ __isnot__ __iand__ __ior__ __ixor__ __lshift__ __not__ __or__ __range_length
__round_to_zero_floordiv __rshift__ __xor__ _set_item append bin capitalize chr clear copy count cpu degrees device
dict divmod endswith extend fabs factorial find floordiv format gcd get get_device hash hex insert is_complex
is_contiguous is_floating_point is_grad_enabled is_leaf is_scripting is_signed is_autocast_enabled
is_autocast_cpu_enabled isalnum isalpha isdecimal isdigit isidentifier islower isnumeric isspace isupper items join
keys len list ljust lower lstrip mathremainder oct ord percentFormat pop popitem promote_types radians remove replace
result_type reverse rfind rindex rjust rsplit rstrip setdefault sorted splitlines startswith storage_offset str stride
strip title update upper values warn zfill partition _grad_sum_to_size range set_grad_enabled
"""
_STRUCTURE = """
BroadcastSizes CallFunction CallMethod Constant ConstantChunk CreateObject DictConstruct Enter EnumName EnumValue Exit
GetAttr HasAttr If IfThenElse ListConstruct ListUnpack Loop NumToTensor Print RaiseException SetAttr StringIndex
TupleConstruct TupleIndex TupleSlice TupleUnpack Uninitialized abs data device dtype index is_cpu is_cuda is_mkldnn
is_mps is_nested is_quantized is_sparse is_vulkan is_xla is_xpu isinstance itemsize layout max min name rangelist
requires_grad tolist type unchecked_cast unchecked_unwrap_optional shape grad
"""
ALLOWED = frozenset(
    [f"aten::{name}{end}" for name in _ARITHMETIC.split() for end in ("", "_")]
    + [f"aten::{name}" for name in (*_TENSORS.split(), *_NETWORKS.split(), *_SCRIPT.split())]
    + [f"prim::{name}" for name in _STRUCTURE.split()]
)
"""Allowed operators, by `node.kind()`."""


def check(functions: Iterable[Any]) -> None:
    """Checks the graphs of all loaded functions and methods without running them.

    `functions`: those of the `torch._C.CompilationUnit` a file was loaded into. Raises ModelError: an operator is not
    allowed.
    """
    for function in functions:
        for node in _nodes(function.graph):
            kind = node.kind()
            if kind not in ALLOWED:
                raise ModelError(
                    f"its code uses the operator {kind[:60]!r}, which is not among those that models are played with"
                )
            if kind == "prim::CreateObject" and "torch.classes" in str(node.output().type()):
                raise ModelError("it has objects of torch's own classes (torch.classes); such models are not played")


def _nodes(block: Any) -> Iterator[Any]:
    """All nodes of a graph, including those in its blocks and in graphs attached to its nodes."""
    waiting = [block]
    while waiting:
        for node in waiting.pop().nodes():
            yield node
            waiting.extend(node.blocks())
            for name in node.attributeNames():
                if node.kindOf(name) == "g":
                    waiting.append(node.g(name))
                elif node.kindOf(name) == "gs":
                    waiting.extend(node.gs(name))


KINDS = ("bool", "int", "float", "str")
RATES = ("sr", "sampling_rate", "sample_rate")
"""Attribute names of the sample rate: RAVE's `sr`, and common ones."""
LATENCIES = ("latency", "latency_samples")
"""Attributes with a declared latency in frames."""
MAX_CHANNELS = 64
MAX_RATIO = 65536


def load(data: bytes) -> Any:
    """Loads a `torch.jit.ScriptModule`, with checked archive and operators, in evaluation mode, without gradients.

    Raises ModelError: the file is not a TorchScript model.
    """
    archive.check(data)
    torch_c: Any = torch._C  # whose types torch states in part, and wrongly
    unit = torch_c.CompilationUnit()
    try:
        # what torch.jit.load does, with the unit kept: it has all functions and methods of the file
        loaded = torch_c.import_ir_module_from_buffer(unit, data, torch.device("cpu"), {}, False)
        check(unit.get_functions())
        module = wrap_cpp_module(loaded)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"torch cannot load it ({sentence(error)}); export it again") from None
    module.eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module


def methods(module: Any) -> dict[str, tuple[int, int, int, int]]:
    """(channels in, ratio in, channels out, ratio out) of each method that a module declares, by name.

    Without declarations, `forward` maps one channel of sound to one channel. Raises ModelError: a declaration is out of
    range, or there is no method.
    """
    have = list(module._c._method_names())
    listed = [str(name) for name in _called(module, "get_methods", have)]
    found = {}
    for name in [n for n in listed if n in have]:
        declared = _tensor(module, f"{name}_params")
        if declared is not None and declared.numel() == 4:
            inputs, in_ratio, outputs, out_ratio = (int(n) for n in declared.flatten().tolist())
            found[name] = inputs, in_ratio, outputs, out_ratio
            _check_ranges(name, found[name])
    if not found and "forward" in have:
        found["forward"] = (1, 1, 1, 1)
    if not found:
        raise ModelError("it declares no method (a tensor NAME_params of 4 numbers beside each), as nn~ needs it")
    return found


def attributes(module: Any) -> dict[str, tuple[str, ...]]:
    """Types of the values accepted by `set_NAME`, by name of an attribute."""
    have = set(module._c._method_names())
    found = {}
    for name in (str(n) for n in _called(module, "get_attributes", [])):
        kinds = _tensor(module, f"{name}_params")
        if f"set_{name}" in have and kinds is not None and all(0 <= int(k) < len(KINDS) for k in kinds.flatten()):
            found[name] = tuple(KINDS[int(k)] for k in kinds.flatten())
    return found


def rate(module: Any) -> int:
    """Sample rate of a module; 0 if it declares none."""
    return _number(module, RATES, 1000, 768000)


def latency(module: Any, method: str) -> int | None:
    """Declared latency of a module in frames; `METHOD_latency` has priority over the general one. None without one."""
    names = (f"{method}_latency", *LATENCIES)
    there = any(module._c.hasattr(name) for name in names)
    return _number(module, names, 0, 1 << 20) if there else None


class TorchScriptProgram:
    """A `StreamProgram`: a loaded module with one method chosen and its attributes set."""

    def __init__(self, module: Any, method: str, values: str = "", rate: int = 0, device: str = "cpu") -> None:
        """Sets up a module by attributes as text, `name=value name=value,value`; `rate` 0 is its own.

        Raises ModelError: there is no such method or attribute.
        """
        if method not in methods(module):
            raise ModelError(f"it has no method {method!r}")
        self._module, self._method, self.device = module.to(device), method, device
        with torch.inference_mode():
            if rate and module._c._has_method("set_sample_rate"):
                module.set_sample_rate(rate)
            self._set(values)

    def begin(self) -> Run:
        """Starts a stream: a copy of the module with the file's buffers."""
        run = getattr(copy.deepcopy(self._module), self._method)

        def step(x: Samples) -> Samples:
            with torch.inference_mode():
                y = run(torch.from_numpy(np.ascontiguousarray(x)).unsqueeze(0).to(self.device))
                if not isinstance(y, torch.Tensor) or y.dim() != 3 or y.shape[0] != 1:
                    got = list(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
                    raise ModelError(f"gave {got} instead of [1, channels, values]")
                out: Samples = y[0].to("cpu", torch.float32).numpy()
                return out

        return step

    def _set(self, values: str) -> None:
        known = attributes(self._module)
        for item in values.split():
            name, _, text = item.partition("=")
            if name not in known:
                raise ModelError(f"it has no attribute {name!r}; it has: {', '.join(known) or 'none'}")
            words, kinds = text.split(","), known[name]
            if len(words) != len(kinds):
                raise ModelError(
                    f"its attribute {name} takes {len(kinds)} values ({', '.join(kinds)}), not {len(words)}"
                )
            try:
                given = [_convert_attribute_value(word, kind) for word, kind in zip(words, kinds, strict=True)]
            except ValueError:
                raise ModelError(f"its attribute {name} takes {', '.join(kinds)}, not {text!r}") from None
            try:
                done = getattr(self._module, f"set_{name}")(*given)
            except Exception as error:
                raise ModelError(f"its attribute {name} cannot be set to {text!r}: {sentence(error)}") from None
            if isinstance(done, int) and done not in (0, True):
                raise ModelError(f"it refuses the attribute {name}={text}")


def _convert_attribute_value(word: str, kind: str) -> bool | int | float | str:
    if kind == "bool":
        if word.lower() not in ("0", "1", "true", "false", "on", "off"):
            raise ValueError(word)
        return word.lower() in ("1", "true", "on")
    kinds: dict[str, Callable[[str], int | float | str]] = {"int": int, "float": float, "str": str}
    return kinds[kind](word)


def _called(module: Any, name: str, instead: list[str]) -> list[Any]:
    if not module._c._has_method(name):
        return instead
    try:
        return list(getattr(module, name)())[:64]
    except Exception as error:
        raise ModelError(f"its {name} failed: {sentence(error)}") from None


def _tensor(module: Any, name: str) -> torch.Tensor | None:
    value = module._c.getattr(name) if module._c.hasattr(name) else None
    return value if isinstance(value, torch.Tensor) and value.numel() <= 64 else None


def _number(module: Any, names: tuple[str, ...], low: int, high: int) -> int:
    for name in names:
        value = module._c.getattr(name) if module._c.hasattr(name) else None
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return round(value)
    return 0


def _check_ranges(name: str, numbers: tuple[int, ...]) -> None:
    for what, number, most in zip(
        ("channels in", "frames a value in", "channels out", "frames a value out"),
        numbers,
        (MAX_CHANNELS, MAX_RATIO, MAX_CHANNELS, MAX_RATIO),
        strict=True,
    ):
        if not 1 <= number <= most:
            raise ModelError(f"its method {name} declares {number} {what}; 1 to {most} is allowed")
