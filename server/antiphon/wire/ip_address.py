"""An IP address as text, in its usual form."""

from __future__ import annotations

import ipaddress


def plain_ip(text: str) -> str:
    """One machine's address in its usual form.

    Args:
        text: An IPv4 or IPv6 address; IPv4 mapped into IPv6 becomes IPv4.

    Returns:
        The address, "192.168.1.20".

    Raises:
        ValueError: It is no address, or one that names many machines.
    """
    address = ipaddress.ip_address(text.strip())
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{text} is not the address of a single machine")
    return str(address)
