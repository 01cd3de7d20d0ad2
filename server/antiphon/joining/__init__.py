"""Parts of control beyond the kernel: set lists, what controllers learn, packets and notes shown, operations.

`join` of each adds it to the control process.
"""
