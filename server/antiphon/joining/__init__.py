"""Parts of control that the kernel does without: set lists, what a MIDI controller learns, packets and notes shown.

`join` of each adds it to the control process.
"""
