"""Which addresses a webhook may go to: the open internet, and the hosts that the operator names. Pure.

Whoever may release an app names its webhooks, so without this they could have the server knock at its own network: at
the metadata service of a cloud, at databases, at itself. The check is of the address that is connected to, not of the
name, so a name cannot be turned around in between.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LINK_LOCAL = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Allowed:
    """The hosts of RONDO_WEBHOOK_HOSTS: `hooks.internal 10.0.0.5:8080`. A port, where one is given, must fit too."""

    def __init__(self, words: str | None) -> None:
        self._hosts = {word.lower() for word in (words or "").replace(",", " ").split()}

    def names(self, host: str, port: int) -> bool:
        plain = f"[{host}]" if ":" in host else host
        return bool({host, plain, f"{plain}:{port}"} & self._hosts)

    def may_reach(self, host: str, port: int, address: str) -> bool:
        """Whether this address of a host may be connected to. A link-local address, where clouds keep
        their secrets, must itself be named."""
        ip = _inner(ipaddress.ip_address(address.partition("%")[0]))
        if is_public(ip):
            return True
        if any(ip.version == net.version and ip in net for net in _LINK_LOCAL):
            return self.names(str(ip), port)
        return self.names(host, port) or self.names(str(ip), port)

    def reachable(self, host: str, port: int, addresses: Sequence[str]) -> list[str]:
        return [address for address in addresses if self.may_reach(host, port, address)]


def is_public(ip: IpAddress) -> bool:
    """Whether it is an address of the open internet, also where it stands inside another."""
    inner = _inner(ip)
    return inner.is_global and not inner.is_multicast and not inner.is_reserved


def _inner(ip: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip
