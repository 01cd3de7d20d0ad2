"""The commands `train`, `evaluate`, `dataset` and `pipeline`, which `antiphon_commands` adds to the command line.

They may import `learning`, `pipeline`, `datasets` and `antiphon.api.backends.cli`; models come by their hooks.
"""
