"""The learned modes: what their networks are as plain data, and the client of the worker that runs them.

May import the server, `bands` and `spectrum` beside it; the networks are in `antiphon_models.denoise.network`, by name.
"""
