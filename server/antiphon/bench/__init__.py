"""`antiphon bench NAME`: the figures of docs/benchmarks.md, on anyone's machine."""
