"""The kernel: OSC in, sound out, without the instrument built on it.

It imports nothing of `antiphon` outside itself; `python -m antiphon.kernel` runs it alone.
docs/kernel.md walks through it.
"""
