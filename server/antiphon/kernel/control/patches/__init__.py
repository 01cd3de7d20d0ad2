"""Patch management: plans requested from the engine, undo, set lists, and the patch's file on disk.

May import the same as `control`, and of `control` all but `app`, `osc` and modules above those.
"""
