"""`antiphon bench NAME`: measures the figures of docs/benchmarks.md on this machine.

A source root of its own, which a clone has and the wheel has not; a plugin's benches are in a folder of its name. They
start servers from outside, and may import all of Antiphon, which imports nothing of them.
"""
