"""How much the gate may take: errors are kept small, plain noise still goes."""

from __future__ import annotations

from antiphon_denoise.gate.gains import MIN_LIMIT, SuppressionLimit


def follow(frames):
    limit = SuppressionLimit()
    return [limit.update(level, taken) for level, taken in frames]


def test_little_taken_is_always_allowed():
    assert min(follow([(1.0, 0.002)] * 300)) == 1.0


def test_a_sudden_large_removal_after_little_noise_is_mostly_let_through():
    assert follow([(1.0, 0.001)] * 300 + [(1.0, 0.9)])[-1] < MIN_LIMIT + 0.1


def test_steady_noise_alone_goes_entirely():
    assert min(follow([(0.01, 0.0099)] * 500)) == 1.0


def test_what_changes_and_is_nearly_all_there_is_stays():
    frames = [(0.01, 0.0099)] * 20 + [(1.0, 0.95)] * 200
    assert max(follow(frames)[40:]) == 0.0


def test_as_much_noise_as_sound_is_taken():
    frames = [(1.0, 0.45), (0.8, 0.4), (1.2, 0.5)] * 100
    assert min(follow(frames)) == 1.0
