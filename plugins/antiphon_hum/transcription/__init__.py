"""Files to notes: what `antiphon run hum` does, with quantisation.

May import the server and all else of the plugin.
"""
