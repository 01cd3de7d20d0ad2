"""IP addresses as text: canonical form, and the loopback test."""

from __future__ import annotations

import ipaddress


def own_machine(host: str) -> bool:
    """True for a loopback address; the kernel drops packets with such a source that arrive from outside."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def plain_ip(text: str) -> str:
    """Canonical form of a unicast address, "192.168.1.20"; IPv4 mapped into IPv6 becomes IPv4.

    Raises ValueError: it is no address, or one that names many machines.
    """
    address = ipaddress.ip_address(text.strip())
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{text} is not the address of a single machine")
    return str(address)
