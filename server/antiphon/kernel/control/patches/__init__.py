"""Which patch plays: plans asked of the engine, undo, set lists, and the patch's file on disk.

May import what `control` may, and of `control` all but `app`, `osc` and what stands above that.
"""
