"""The number that tells gateways to fetch a new plan.

Whoever changes what is served calls `bump` in the transaction of the change; gateways compare `current` with the
number their plan was built from.
"""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from rondo.catalog.schema import revision


def bump(connection: Connection) -> int:
    """Count one change; gives the new number, which others see when the transaction commits."""
    connection.execute(update(revision).values(number=revision.c.number + 1))
    return current(connection)


def current(connection: Connection) -> int:
    """The number of the newest change that this transaction sees."""
    return int(connection.execute(select(revision.c.number)).scalar_one())
