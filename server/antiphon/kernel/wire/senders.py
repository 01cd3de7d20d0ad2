"""Senders of messages: their IP addresses as text."""

import ipaddress


def own_machine(host: str) -> bool:
    """True for a loopback address; the kernel drops packets with such a source that arrive from outside."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def plain_ip(text: str) -> str:
    """Unicast address in canonical form, mapped IPv4 as IPv4; `ValueError` for others."""
    address = ipaddress.ip_address(text.strip())
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{text} is not the address of a single machine")
    return str(address)
