"""The benches of the backend `supercollider`.

May import `antiphon.bench`, beside what its plugin may.
"""
