"""Mode `learned`: what its network is as plain data, the client of the worker, and how answers become notes.

May import `antiphon.api` and `tracking`. The network is in numpy; `spec` names it in torch, for CUDA.
"""
