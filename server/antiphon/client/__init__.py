"""A client of a running server: finds it, connects by OSC or HTTP, asks and waits, subscribes, starts and stops one."""

LOCAL = "127.0.0.1"
"""This machine."""
