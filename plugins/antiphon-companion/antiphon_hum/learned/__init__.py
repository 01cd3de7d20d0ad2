"""Mode `learned`: its network as plain data, the client of its worker, and the decoding of answers to notes.

May import `antiphon.api` and `tracker`. The network is in numpy; `spec` names it in torch, for CUDA.
"""
