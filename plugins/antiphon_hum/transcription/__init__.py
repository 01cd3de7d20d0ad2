"""Files to notes: what `antiphon run hum` does, with quantisation.

May import `antiphon.api` and all else of the plugin.
"""
