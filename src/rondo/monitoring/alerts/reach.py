"""Which addresses a webhook may go to: the open internet, and the hosts that the operator names. Pure.

Whoever may release an app names its webhooks, so without this they could have the server knock at its own network: at
the metadata service of a cloud, at databases, at itself. The check is of the address that is connected to, not of the
name, so a name cannot be turned around in between.
"""

from __future__ import annotations

import ipaddress

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SITE_LOCAL = ipaddress.ip_network("fec0::/10")
_CLOUDS = tuple(
    ipaddress.ip_network(each)
    for each in (
        "169.254.0.0/16",  # link-local: the metadata of most clouds
        "fe80::/10",
        "fd00:ec2::254/128",  # AWS
        "fd20:ce::254/128",  # Google
        "168.63.129.16/32",  # Azure, though of the open internet by its number
        "100.100.100.200/32",  # Alibaba
    )
)

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Allowed:
    """The hosts of RONDO_WEBHOOK_HOSTS: `hooks.internal 10.0.0.5:8080`. A port, where one is given, must fit too."""

    def __init__(self, words: str | None) -> None:
        self._hosts = {word.lower() for word in (words or "").replace(",", " ").split()}

    def names(self, host: str, port: int) -> bool:
        plain = f"[{host}]" if ":" in host else host
        return bool({host, plain, f"{plain}:{port}"} & self._hosts)

    def may_reach(self, host: str, port: int, address: str) -> bool:
        """Whether this address of a host may be connected to. One where clouds keep secrets must itself be named."""
        ip = _inner(ipaddress.ip_address(address.partition("%")[0]))
        if any(ip.version == net.version and ip in net for net in _CLOUDS):
            return self.names(str(ip), port)
        if is_public(ip):
            return True
        return self.names(host, port) or self.names(str(ip), port)


def is_public(ip: IpAddress) -> bool:
    """Whether it is an address of the open internet, also where it stands inside another."""
    inner = _inner(ip)
    return inner.is_global and not inner.is_multicast and not inner.is_reserved and inner not in _SITE_LOCAL


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
