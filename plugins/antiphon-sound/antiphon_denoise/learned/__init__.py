"""The learned modes: what their networks are as plain data, and the client of the worker that runs them.

May import `antiphon.api`, `gate` and `bands`; the networks are in `antiphon_models.denoise.network`, by name.
"""
