"""Operator allowlist of TorchScript files, checked on torch's graphs of their code.

A name in the code is not what counts: `getattr(torch, "from_" "file")` is the operator `aten::from_file` in the graph.
Torch has some 4,000 operators; allowed are those on sound, numbers, lists and text that networks are written with. Left
out are those that reach files (`from_file`, `save`), other processes (`rpc`), threads (`fork`) and memory by address or
stride, and what is torch's own inside. Imports torch's types alone.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from antiphon.api.backends.models import ModelError

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
    """Checks the graphs of all loaded functions and methods; nothing of them is run.

    `functions`: of the `torch._C.CompilationUnit` that a file was loaded into. Raises ModelError: there is an operator
    that is not allowed.
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
    """All nodes of a graph, of the blocks inside it and of graphs that its nodes carry."""
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
