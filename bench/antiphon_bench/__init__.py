"""`antiphon bench NAME`: measures the figures of docs/benchmarks.md on this machine.

A source root of its own, in the distribution antiphon-lab. Benches start servers from outside and import
`antiphon.api`; those that measure inside the engine and the performer import more (the contract `lab-by-api`).
"""
