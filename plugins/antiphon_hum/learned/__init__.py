"""The learned modes: what their networks are as plain data, the client of the worker, and how answers become notes.

May import the server, `decimator` and `tracking`. The networks are in numpy; `spec` names those in torch, for CUDA.
"""
