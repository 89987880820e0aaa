"""Where a request goes, and the part of its head that never changes: read and checked once per model.

Everything that is written to a socket is checked here, so that no setting can add a header or a second request to it.
Errors are ValueErrors that name what is wrong; they never hold a header's value, which may be a key.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
# How a message is framed, and what becomes of the connection, is this client's business alone.
_FRAMING = frozenset(
    "content-length transfer-encoding connection keep-alive proxy-connection expect te trailer upgrade".split()
)


class BadHeader(ValueError):
    """A header that cannot be sent. `name` is the header's."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the header {name!r} {reason}")
        self.name = name


class Origin(NamedTuple):
    """A server: what connections can be shared for."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """`host:port` as a URL and the `host` header have it; without the port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def with_port(self) -> str:
        """`host:port`, always with the port, as CONNECT has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def split(url: str) -> tuple[Origin, str]:
    """The server of an address, and the path with its query as the request line has it. Raises ValueError."""
    if _UNPRINTABLE.search(url):
        raise ValueError("it holds a space or a control character")
    try:
        parts = urlsplit(url)
    except ValueError:  # its own words may repeat a password
        raise ValueError("it cannot be read") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("it does not begin with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a user name or a password; keys belong in the variable of `api_key_env`")
    if parts.fragment:
        raise ValueError("it holds a fragment (#)")
    try:
        port = parts.port if parts.port is not None else _DEFAULT_PORTS[parts.scheme]
    except ValueError:
        port = 0
    if not port:
        raise ValueError("its port is not from 1 to 65535")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~?")
    return Origin(parts.scheme, host_of(parts.hostname), port), f"{path}?{query}" if query else path


def host_of(name: str | None) -> str:
    """A host as it is looked up and verified: an IP address, or an ASCII name in lower case. Raises ValueError."""
    if not name:
        raise ValueError("it has no host")
    if ":" in name:
        try:
            address = ipaddress.IPv6Address(name)
        except ValueError:
            address = None
        if address is not None and address.scope_id is None:
            return str(address)
        raise ValueError(f"{name!r} is no IPv6 address")
    if not name.isascii():
        import idna  # only here: few names need it

        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise ValueError(f"{name!r} is no host name") from None
    name = name.lower()
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r:.300} is no host name")
    return name


def checked(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, by their names in lower case. Raises BadHeader."""
    sound: dict[str, str] = {}
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise BadHeader(name, "has a name that no header can have")
        lower = name.lower()
        if lower in _FRAMING:
            raise BadHeader(name, "is not a setting: it is set from the request")
        if _BAD_VALUE.search(value):
            raise BadHeader(name, "has a line break or another character in it that no header can have")
        sound[lower] = value.strip(" \t")
    return sound


def get_head(target: str, headers: Mapping[str, str]) -> bytes:
    """The whole head of a GET. `headers` have been checked."""
    lines = [
        f"GET {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items() if name != "content-type"),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def request_head(target: str, headers: Mapping[str, str]) -> bytes:
    """The head of a POST of JSON, up to where the length of the body goes. `headers` have been checked."""
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "content-length: "]
    return "\r\n".join(lines).encode("latin-1")
