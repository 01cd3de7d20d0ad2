"""The process that serves HTTP, OSCQuery and the page. It gets its data from control; if it ends, the sound continues.

May import `jobs`, `live` and, of the kernel, `plugins`, `graph` and below; no room but `cli` and `api` imports it.
"""
