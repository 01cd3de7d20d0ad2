"""The input loops of `antiphon play` without a microphone: generated from a seed, no recordings.

May import `signal`, `runtime` and `errors` of the kernel.
"""
