"""`antiphon bench NAME`: measures the figures of docs/benchmarks.md on this machine."""
