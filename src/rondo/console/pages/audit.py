"""The audit trail: who did what to what, when; and whether the chain of hashes is whole."""

from __future__ import annotations

from starlette.responses import Response

from rondo.console.visit import Page, Visit, whole_number
from rondo.control import Connection
from rondo.errors import CorruptData
from rondo.governance import audit
from rondo.governance.audit import Verified
from rondo.governance.model import AuditEntry, Role

_PAGE = 100


async def show(visit: Visit) -> Response:
    before, subject = visit.query("before"), visit.query("subject")
    below = whole_number(before, "before") if before else None

    def read(connection: Connection) -> list[AuditEntry]:
        return audit.entries(connection, visit.project, limit=_PAGE + 1, before=below, subject=subject)

    entries = await visit.control.read(read)
    verified: Verified | None = None
    broken: CorruptData | None = None
    if visit.query("verify"):
        try:
            verified = await visit.control.read(lambda connection: audit.verify(connection, visit.project))
        except CorruptData as error:
            broken = error
    return visit.page(
        "audit.html",
        entries=entries[:_PAGE],
        more=entries[_PAGE - 1].sequence if len(entries) > _PAGE else None,
        subject=subject,
        verified=verified,
        broken=broken,
    )


PAGES = [Page("GET", "/audit", Role.VIEWER, show)]
