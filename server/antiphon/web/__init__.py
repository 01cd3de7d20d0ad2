"""The process that serves HTTP, OSCQuery and the page. It asks control for its data; its end does not affect the sound.

May import `jobs`, `live` and, of the kernel, `plugins`, `graph` and below; no room but `cli` and `api` imports it.
"""
