"""Transcription of files: `antiphon run hum`, with quantisation.

May import `antiphon.api` and all else of the plugin.
"""
