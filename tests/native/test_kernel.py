"""Kernels: machine code does what their Python does, and what is outside the subset is refused."""

from __future__ import annotations

import math
import signal
import struct
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, strategies as st

from antiphon.kernel.runtime.platform import c_function
from antiphon.kernel.runtime.processes import child_process
from antiphon.native import compiling, dsp, loading, resample
from antiphon.native.call_back import RAISED, CallBack, call_python
from antiphon.native.compiling import kernel
from antiphon.native.dsp import limit, release_decay_factor
from antiphon.native.intrinsics import bits_f64, call_c, f64_bits, prefetch
from antiphon.native.kernel import Audio, Kernel, f32, f32p, f64, f64p, i64, i64p
from antiphon.native.loading import fingerprint

floats = st.floats(-100, 100, width=32)
HALF = 0.5


@kernel
def whole(a: i64, b: i64) -> i64:
    """All whole-number arithmetic."""
    total = a + b * 3 - (a // b) + a % b
    total = total + ((a & b) | 4) + (a << 2) + (b >> 1)
    return -total if a > b and not b > 3 else abs(total)


@kernel
def call_each(function: i64, times: i64) -> i64:
    """What a function of the interpreter gave for each number below `times`, added up, as far as it gave any."""
    total = 0
    for n in range(times):
        given = call_python(function, i64(7), n)
        if given < 0:
            return given
        total = total + given
    return total


@kernel
def broken(a: f64, b: f64) -> f64:
    """Fractions, comparisons, choices."""
    low, high = min(a, b), max(a, b)
    between = low <= 1.0 or high != 2.0
    c = low if between else high
    return c / (1.0 + abs(a * b)) + math.sqrt(high * high) + math.floor(low) + HALF


@kernel
def bits_of_kernel(value: f64) -> i64:
    return bits_f64(value)


@kernel
def float_of_kernel(bits: i64) -> f64:
    return f64_bits(bits)


@kernel
def fetched_kernel(x: f32p, at: i64) -> f32:
    prefetch(x, at)
    return x[at]


@kernel
def loops(x: f32p, y: f64p, count: i64p, n: i64) -> i64:
    """for with one, two and three bounds, while, break, continue, nested."""
    seen = 0
    for i in range(n):
        if x[i] < 0.0:
            continue
        if x[i] > 50.0:
            break
        y[i] = y[i] + f64(x[i])
        count[0] += 1
    for i in range(1, n, 2):
        for j in range(i, n):
            if j - i > 2:
                break
            seen = seen + 1
    while seen > 7:
        seen = seen - 7
    return seen


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6).filter(bool))
def test_whole_numbers(a, b):
    assert whole(a, b) == whole.python(a, b)


@kernel
def by_constants(a: i64) -> i64:
    """Divisors that are known when it is compiled: powers of two, others, negative ones."""
    total = a // 1 + a // 8 * 3 + a // 7 * 5 + a // -4 * 11 + a // -3 * 13
    return total * 1000 + a % 1 + a % 8 * 3 + a % 7 * 5 + a % -4 * 11 + a % -3 * 13


@kernel
def in_place(x: i64p, b: i64, n: i64) -> None:
    """x ← its quotients by b, and after them its remainders."""
    for i in range(n):
        x[n + i] = x[i]
        x[i] //= b
        x[n + i] %= b


wholes = st.integers(-(2**62), 2**62)
divisors = wholes.filter(bool) | st.integers(-9, 9).filter(bool)


@kernel
def quotient(a: i64, b: i64) -> i64:
    return a // b


@kernel
def remainder(a: i64, b: i64) -> i64:
    return a % b


@given(wholes | st.integers(-50, 50), divisors)
def test_quotients_and_remainders_are_rounded_down_as_in_python(a, b):
    assert (quotient(a, b), remainder(a, b)) == divmod(a, b)


@given(st.integers(-(10**9), 10**9))
def test_constant_divisors_are_those_of_python(a):
    assert by_constants(a) == by_constants.python(a)


@given(st.lists(wholes, min_size=1, max_size=20), divisors)
def test_quotients_in_a_loop_are_those_of_python(values, b):
    x = np.array(values + [0] * len(values), np.int64)
    in_place(x, b, len(values))
    assert x.tolist() == [a // b for a in values] + [a % b for a in values]


@kernel
def fraction_remainder(a: f64, b: f64) -> f64:
    return a % b


def test_a_remainder_of_fractions_is_refused():
    with pytest.raises(TypeError, match="Mod of double is outside the subset"):
        fraction_remainder(1.0, 2.0)


@given(floats, floats)
def test_fractions(a, b):
    assert broken(a, b) == pytest.approx(broken.python(a, b), rel=1e-12, abs=1e-12)


@given(st.lists(floats, min_size=1, max_size=30))
def test_loops(values):
    x = np.array(values, np.float32)
    got, wanted = [(np.zeros(len(x)), np.zeros(1, np.int64)) for _ in range(2)]
    assert loops(x, *got, len(x)) == loops.python(x, *wanted, len(x))
    np.testing.assert_array_equal(got[0], wanted[0])
    assert got[1] == wanted[1]


def both(item, arrays, *rest):
    """The arrays after the kernel and after its Python, and what each returned."""
    with np.errstate(all="ignore"):
        one, other = [a.copy() for a in arrays], [a.copy() for a in arrays]
        pair = iter(one), iter(other)
        args = [[next(side) if isinstance(r, str) else r for r in rest] for side in pair]
        kinds = item.types.values()
        args[1] = [
            arg.reshape(-1) if isinstance(arg, np.ndarray) and kind != "Audio" else arg
            for arg, kind in zip(args[1], kinds, strict=True)
        ]
        return item(*args[0]), item.python(*args[1]), one, other


@given(st.integers(0, 60), st.integers(-80, 80), st.integers(0, 100), st.integers(0, 60))
def test_the_ramp_is_its_python(first, start, length, time):
    start = min(start, time + first)
    out = np.full(64, 7.0, np.float32)
    _, _, one, other = both(dsp.ramp, [out], "out", first, 64, time, start, length, -1.0, 3.0)
    np.testing.assert_array_equal(one[0], other[0])


@given(st.integers(1, 20), st.integers(0, 19), st.integers(1, 40), st.integers(1, 3))
def test_the_delay_line_is_its_python(size, lag, frames, channels):
    lag = min(lag, size - 1)
    rng = np.random.default_rng(size)
    x = rng.standard_normal((channels, 40)).astype(np.float32)
    y, ring = np.zeros_like(x), rng.standard_normal((channels, size)).astype(np.float32)
    arrays = [x, y, ring, np.array([size // 2])]
    _, _, one, other = both(dsp.delay_line, arrays, "x", "y", "ring", "at", lag, frames)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bad", [None, np.nan, np.inf, -np.inf])
def test_finite_finds_a_single_sample_that_is_no_number(bad):
    x = np.random.default_rng(1).standard_normal((3, 100)).astype(np.float32)
    x[0, 3] = np.finfo(np.float32).max
    if bad is not None:
        x[1, 70] = bad
    assert dsp.finite(x, 100, 3, 100) == (bad is None)
    assert dsp.finite(x, 100, 3, 70) == 1


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 1))
def test_channels_are_adapted_as_in_python(have, want, add):
    rng = np.random.default_rng(have * 10 + want)
    arrays = [rng.standard_normal((count, 40)).astype(np.float32) for count in (have, want)]
    x, y = (array.copy() for array in arrays)
    _, _, one, other = both(dsp.adapt, arrays, "x", "y", add, 32)
    np.testing.assert_array_equal(one[1], other[1])
    part = (
        x[:, :32].mean(axis=0, keepdims=True) if want == 1 else np.repeat(x[:, :32], want if have == 1 else 1, 0)[:want]
    )
    wanted = np.zeros((want, 32), np.float32) + add * y[:, :32]
    wanted[: len(part)] += part
    np.testing.assert_allclose(one[1][:, :32], wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("bad", [None, np.nan, np.inf, -np.inf])
def test_the_peak_is_the_largest_and_minus_one_where_anything_is_not_finite(bad):
    x = np.random.default_rng(1).standard_normal((3, 100)).astype(np.float32)
    if bad is None:
        assert dsp.peak(x, 100, 3, 100) == np.abs(x).max()
        assert dsp.peak(x, 100, 2, 10) == np.abs(x[:2, :10]).max()
    else:
        x[2, 50] = bad
        assert dsp.peak(x, 100, 3, 100) == -1.0
        assert dsp.peak(x, 100, 3, 50) > 0.0


def test_the_mix_is_exact_at_both_ends():
    rng = np.random.default_rng(2)
    wet, dry = rng.standard_normal((2, 2, 50)).astype(np.float32)
    kept = wet.copy()
    dsp.mix_wet(wet, dry, np.ones(50, np.float32), 50)
    np.testing.assert_array_equal(wet, kept)
    dsp.mix_wet(wet, dry, np.zeros(50, np.float32), 50)
    np.testing.assert_array_equal(wet, dry)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 100), st.integers(1, 16))
def test_writing_a_ring_and_converting_channels_are_their_python(have, want, at, frames):
    x = np.random.default_rng(have).standard_normal((have, 16)).astype(np.float32)
    ring, y = np.zeros((want, 32), np.float32), np.zeros((want, 16), np.float32)
    _, _, one, other = both(resample.push, [x, ring], "x", 16, have, "ring", 16, at, want, frames)
    np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(one[1][:, :16], one[1][:, 16:])
    _, _, two, three = both(resample.convert, [x, y], "x", 16, have, "y", 16, want, frames)
    np.testing.assert_array_equal(two[1], three[1])
    for n in range(frames):
        np.testing.assert_array_equal(one[1][:, (at + n) % 16], two[1][:, n])


@given(st.integers(1, 5), st.integers(1, 5), st.integers(-60, 60), st.integers(0, 50))
def test_resampling_is_its_python(up, down, shift, first):
    rng = np.random.default_rng(up)
    half = 3
    ring = np.tile(rng.standard_normal((2, 40)).astype(np.float32), (1, 2))
    table = rng.standard_normal((up, 2 * half)).astype(np.float32)
    y = np.zeros((2, 20), np.float32)
    _, _, one, other = both(
        resample.resample, [ring, y, table], "ring", 40, "y", 20, "table", half, up, down, shift, first, 2, 20
    )
    np.testing.assert_allclose(one[1], other[1], atol=1e-5)


def test_the_limiter_is_its_python():
    x = np.random.default_rng(3).normal(0, 1.5, (2, 200)).astype(np.float32)
    x[0, 5] = np.nan
    a, b, one, other = both(limit, [x, np.zeros(1)], "x", 200, "state", release_decay_factor(48000), 2, 200)
    assert a == b
    np.testing.assert_allclose(one[0], other[0], atol=1e-6)


@pytest.mark.parametrize("value", [1.0, -0.1, 5e-324, 1e300, math.inf])
def test_the_bits_of_a_float_are_those_of_ieee_754(value):
    assert bits_of_kernel(value) == bits_of_kernel.python(value) == struct.unpack("=q", struct.pack("=d", value))[0]
    assert float_of_kernel(bits_of_kernel(value)) == float_of_kernel.python(bits_of_kernel(value)) == value


def test_fetching_memory_changes_nothing():
    x = np.arange(8, dtype=np.float32)
    assert fetched_kernel(x, 5) == fetched_kernel.python(x, 5) == 5.0


def test_a_kernel_takes_arrays_by_position_only():
    with pytest.raises(TypeError, match="positional"):
        whole(a=1, b=2)


def test_bound_arguments_are_worked_out_once():
    x = np.array([[1.0, -3.0, 2.0]], np.float32)
    bound = dsp.peak.bind(x, 3, 1, 3)
    assert bound() == 3.0
    x[0, 2] = 5.0
    assert bound() == 5.0


class Place(IntEnum):
    """Words of an array."""

    FIRST = 1
    LAST = 4


@kernel
def by_name(x: i64p) -> i64:
    """Words named by an IntEnum."""
    x[Place.LAST] = x[Place.FIRST + 1] + Place.LAST
    return x[Place.FIRST] * x[-Place.FIRST + 1]


def test_words_have_names():
    one, other = (np.arange(2, 8) for _ in range(2))
    assert by_name(one) == by_name.python(other)
    np.testing.assert_array_equal(one, other)


def test_another_number_under_a_name_is_another_machine_code(monkeypatch):
    before = fingerprint([by_name])
    monkeypatch.setitem(globals(), "Place", IntEnum("Place", {"FIRST": 1, "LAST": 3}))
    assert fingerprint([by_name]) != before


@kernel
def misnamed(x: i64p) -> i64:
    return x[Place.MIDDLE]


def test_a_name_that_is_no_member_is_refused():
    with pytest.raises(TypeError, match=r"misnamed, line \d+: Place.MIDDLE is outside the subset"):
        misnamed(np.zeros(9, np.int64))


def test_two_kernels_of_one_name_are_two():
    def make(number):
        if number == 1:

            @kernel
            def same(a: i64) -> i64:
                return a + 1

        else:

            @kernel
            def same(a: i64) -> i64:
                return a + 2

        return same

    one, two = make(1), make(2)
    assert (one(1), two(1)) == (2, 3)


def test_a_type_that_is_none_is_refused_where_it_is_declared():
    with pytest.raises(TypeError, match="b"):

        @kernel
        def untyped(a: i64, b: list) -> i64:
            return a


@kernel
def _listing(a: i64) -> i64:
    b = [a]
    return b[0]


@kernel
def _printing(a: i64) -> i64:
    print(a)
    return a


@kernel
def _power(a: f64) -> f64:
    return a**2.0


@kernel
def _attribute(a: f64) -> f64:
    return math.tan(a)


@kernel
def _trying(a: i64) -> i64:
    try:
        return a
    except ValueError:
        return 0


@kernel
def _membership(a: i64) -> i64:
    return 1 if a in (1, 2) else 0


@kernel
def _iterating(x: f32p) -> i64:
    n = 0
    for _ in x:
        n = n + 1
    return n


@kernel
def _unknown(a: i64) -> i64:
    return a + nowhere  # noqa: F821


@pytest.mark.parametrize(
    "item", [_listing, _printing, _power, _attribute, _trying, _membership, _iterating, _unknown], ids=lambda k: k.name
)
def test_what_is_outside_the_subset_is_refused_with_its_line_and_holds_up_no_other(item):
    argument = np.zeros(1, np.float32) if item is _iterating else 1
    for _ in range(2):
        with pytest.raises(TypeError, match=rf"{item.name}, line \d+: .*outside the subset"):
            item(argument)
    assert whole(5, 2) == whole.python(5, 2)


@kernel
def louder(x: Audio, y: Audio, by: f64) -> i64:
    """y ← x · by, in as many channels as both have; the frames of both."""
    for c in range(min(x.channels, y.channels)):
        for n in range(y.frames):
            y[c, n] = f32(f64(x[c, n]) * by)
    return x.frames * 1000 + y.frames


@kernel
def twice_louder(x: Audio, y: Audio) -> i64:
    """By another kernel, with sound handed on."""
    y[0, 0] += 1.0
    return louder(x, y, 2.0)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 30), st.integers(0, 9))
def test_sound_is_read_and_written_by_channel_and_frame(channels: int, others: int, frames: int, first: int) -> None:
    whole = np.random.default_rng(1).normal(0.0, 1.0, (channels, 40)).astype(np.float32)
    x = whole[:, first : first + frames]
    y, z = np.ones((others, 50), np.float32), np.ones((others, 50), np.float32)
    both = min(channels, others)
    assert twice_louder(x, y[:, :frames]) == frames * 1001
    assert louder.python(x, z[:, :frames], 2.0) == frames * 1001
    np.testing.assert_array_equal(y, z)
    np.testing.assert_array_equal(y[:both, :frames], 2.0 * x[:both])
    assert (y[:, frames:] == 1.0).all()
    assert (y[both:, 1:] == 1.0).all()


def test_sound_is_bound_with_its_place() -> None:
    x, y = np.full((2, 8), 3.0, np.float32), np.zeros((2, 8), np.float32)
    again = louder.bind(x[:, 2:6], y[:, :4], 0.5)
    assert again() == 4004
    assert y.tolist() == [[1.5] * 4 + [0.0] * 4] * 2


@pytest.mark.parametrize(
    "wrong",
    [np.zeros(8, np.float32), np.zeros((2, 8)), np.zeros((8, 2), np.float32).T, np.zeros((2, 8), np.float32)[:, ::2]],
)
def test_what_is_no_sound_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"^sound for a kernel is float32 \[channels, frames\]"):
        louder(wrong, np.zeros((2, 8), np.float32), 1.0)


@kernel
def flat_index(x: Audio) -> f32:
    return x[3]


@kernel
def as_number(x: Audio) -> f32:
    return x + 1.0


@pytest.mark.parametrize("item", [flat_index, as_number])
def test_sound_is_nothing_else(item: Kernel) -> None:
    with pytest.raises(TypeError, match=r"x is sound: x\[channel, frame\]"):
        item(np.zeros((2, 8), np.float32))


@kernel
def refused_inside(x: f64) -> f64:
    return math.tau * x


@kernel
def calls_what_is_refused(x: f64) -> f64:
    return refused_inside(x) + 1.0


def test_a_kernel_that_calls_one_that_is_refused_is_refused_as_well():
    with pytest.raises(TypeError, match=r"calls_what_is_refused, line \d+: refused_inside\(\) cannot be compiled"):
        calls_what_is_refused(1.0)
    with pytest.raises(TypeError, match="outside the subset"):
        refused_inside(1.0)


@kernel
def of_every_kind(x: Audio, y: f32p, z: f64p, a: i64, b: f32, c: f64) -> f64:
    return f64(x[1, 2]) + f64(y[1]) + z[1] + f64(a) + f64(b) + c + f64(x.channels * 100 + x.frames)


def test_a_caller_gives_what_the_kernel_gives_whatever_has_changed():
    call = of_every_kind.caller()
    rng = np.random.default_rng(1)
    args = None
    for turn in range(40):
        fresh = [
            rng.random((2, 3 + turn % 4), np.float32),
            rng.random(2, np.float32),
            rng.random(2),
            int(rng.integers(-(2**40), 2**40)),
            float(rng.random()),
            float(rng.random()),
        ]
        # some stay the same objects, an array with other content
        args = fresh if args is None else [n if rng.random() < 0.5 else o for o, n in zip(args, fresh, strict=True)]
        args[1][1] = turn
        assert call(*args) == of_every_kind(*args) == of_every_kind.bind(*args)()


def test_callers_of_one_kernel_do_not_share_arguments():
    x = np.ones((2, 3), np.float32)
    one, two = of_every_kind.caller(), of_every_kind.caller()
    given = x, x[0], np.zeros(2), 1, 0.5, 0.25
    first = one(*given)
    assert two(x, x[0], np.ones(2), 2, 1.5, 0.5) == first + 1 + 1 + 1 + 0.25
    assert one(*given) == first


def test_a_caller_refuses_what_is_no_sound_as_the_kernel_does():
    with pytest.raises(TypeError, match="float32"):
        of_every_kind.caller()(np.zeros((2, 3)), np.zeros(2, np.float32), np.zeros(2), 1, 0.0, 0.0)


@kernel
def counted(n: i64p) -> f64:
    n[0] = n[0] + 1
    return 1.5


@kernel
def chosen(a: i64, n: i64p) -> f64:
    return counted(n) if a > 0 else (2 if a < 0 else math.exp(f64(a)))


@pytest.mark.parametrize("a", [-1, 0, 1])
def test_of_a_choice_that_costs_only_one_side_is_computed(a):
    n, wanted = np.zeros(1, np.int64), np.zeros(1, np.int64)
    assert chosen(a, n) == chosen.python(a, wanted)
    assert n[0] == wanted[0] == (a > 0)


def test_the_cache_has_a_module_whatever_else_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(module: str) -> Kernel[[float], float]:
        def scaled(a: f64) -> f64:
            return a * 2.25

        scaled.__module__ = module
        return kernel(scaled)

    kept: dict[str, bytes] = {}
    monkeypatch.setattr(loading, "read_cached", kept.get)
    monkeypatch.setattr(loading, "write_cached", kept.__setitem__)
    monkeypatch.setattr(compiling, "_declared", [])
    assert of("one")(2.0) == 4.5
    other = of("another")
    assert of("one, in another process")(2.0) == 4.5
    assert len(kept) == 1
    assert other.address == 0, "a call compiles no other module"
    compiling.compile_all()
    assert other.address
    of("one, at the next start")
    monkeypatch.setattr(child_process, "fork", lambda _: pytest.fail("what the cache has needs no other process"))
    assert not compiling.compile_all(processes=4)


class Ring(NamedTuple):
    """Sound and where it is."""

    sound: Audio
    at: i64p


class Voice(NamedTuple):
    """A record with a record in it."""

    ring: Ring
    gain: f64


@kernel
def advance(ring: Ring, gain: f64) -> f64:
    """Reads a frame of every channel, scales it where it is, and goes on."""
    total = f64(0.0)
    for c in range(ring.sound.channels):
        ring.sound[c, ring.at[0]] = ring.sound[c, ring.at[0]] * gain
        total = total + f64(ring.sound[c, ring.at[0]])
    ring.at[0] = (ring.at[0] + 1) % ring.sound.frames
    return total


@kernel
def of_records(x: f32p, voice: Voice) -> f64:
    return f64(x[0]) + advance(voice.ring, voice.gain)


def test_a_record_is_one_argument_and_its_fields_are_the_machine_codes():
    assert list(of_records.types) == ["x", "voice.ring.sound", "voice.ring.at", "voice.gain"]
    x = np.ones(1, np.float32)
    one, other = (Voice(Ring(np.ones((2, 8), np.float32), np.zeros(1, np.int64)), 3.0) for _ in range(2))
    calls = of_records, of_records.bind(x, one), of_records.caller(), of_records.step(x, one).run
    assert [calls[0](x, one), calls[1](), calls[2](x, one), calls[3]()] == [7.0, 7.0, 7.0, None]
    assert [of_records.python(x, other) for _ in range(4)] == [7.0] * 4
    np.testing.assert_array_equal(one.ring.sound, other.ring.sound)
    assert one.ring.at[0] == other.ring.at[0] == 4


def test_a_field_of_a_record_is_not_assigned():
    @kernel
    def assigns(voice: Voice) -> None:
        voice.gain = 1.0

    with pytest.raises(TypeError, match="only names and pointer elements can be assigned"):
        assigns(Voice(Ring(np.ones((1, 1), np.float32), np.zeros(1, np.int64)), 1.0))


def test_call_back_gets_numbers_and_keeps_what_it_raises() -> None:
    back = CallBack(lambda seven, n: seven * 10 // (3 - n))
    assert call_each(back.address, 3) == 23 + 35 + 70
    back.check()
    assert call_each(back.address, 5) == RAISED
    with pytest.raises(ZeroDivisionError):
        back.check()
    back.check()


@kernel
def call_after_signal(function: i64, send: i64, number: i64) -> i64:
    call_c(send, number)
    return call_python(function, 1, 2)


def test_call_back_signal_in_machine_code_is_raised(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise InterruptedError(number)

    called: list[int] = []
    back = CallBack(lambda first, second: called.append(first) or second)
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        for _ in range(100):
            assert call_after_signal(back.address, c_function("raise"), signal.SIGUSR1) == RAISED
            with pytest.raises(InterruptedError):
                back.check()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not called
    assert not capsys.readouterr().err
