"""Senders of messages: their IP addresses as text."""

import ipaddress


def is_loopback(host: str) -> bool:
    """True for a loopback address; the kernel drops packets with such a source that arrive from outside."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
