"""Certificates of an authority that only tests trust."""

from __future__ import annotations

import datetime
import ssl

import trustme

AUTHORITY = trustme.CA()


def server_context(
    *names: str, authority: trustme.CA = AUTHORITY, not_after: datetime.datetime | None = None
) -> ssl.SSLContext:
    """What a server needs to show a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_after=not_after).configure_cert(context)
    return context
