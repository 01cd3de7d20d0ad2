"""The commands `antiphon train` and `antiphon evaluate`, which `antiphon_commands` adds to the command line.

They may import `learning`, and of the command line its progress bar and completion; models come by their hooks.
"""
