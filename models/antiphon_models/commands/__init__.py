"""The commands `train`, `evaluate`, `dataset` and `pipeline`, which `antiphon_commands` adds to the command line.

They may import `learning`, `pipeline` and `datasets`, and of the command line what its own commands share; models come
by their hooks.
"""
