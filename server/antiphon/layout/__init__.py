"""Layouts of control surfaces for a patch, as files of TouchOSC and Open Stage Control.

May import `graph`, `contract` and below, of the kernel.
"""
