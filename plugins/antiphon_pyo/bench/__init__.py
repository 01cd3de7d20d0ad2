"""The benches of the backend `pyo`.

May import `antiphon.bench`, beside what its plugin may.
"""
