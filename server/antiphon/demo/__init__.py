"""The input loops of `antiphon play` without a microphone: generated from a seed, no recordings.

May import `contract`, `runtime` and `errors`.
"""
