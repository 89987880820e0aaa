"""How far readers of the stored calls have come."""

from __future__ import annotations

from rondo.catalog.engine import Catalog
from rondo.governance import projects
from rondo.traces import cursors


def test_each_reader_of_each_project_has_its_own(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        for name in ("p", "q"):
            projects.add(connection, name, actor="tests")
    with catalog.begin() as connection:
        assert cursors.find(connection, "p", "live") is None
        cursors.save(connection, "p", "live", 5)
        cursors.save(connection, "p", "live", 1 << 40)
        cursors.save(connection, "p", "telemetry.calls", 3)
    with catalog.begin() as connection:
        assert cursors.find(connection, "p", "live") == 1 << 40
        assert cursors.find(connection, "p", "telemetry.calls") == 3
        assert cursors.find(connection, "q", "live") is None
        cursors.forget(connection, "p", "live")
        cursors.forget(connection, "q", "live")
        assert cursors.find(connection, "p", "live") is None
        assert cursors.find(connection, "p", "telemetry.calls") == 3


def test_servers_on_one_postgres_have_their_own(catalog: Catalog) -> None:
    """Each counts arrivals in records of its own, so another's place means nothing there."""
    one, other = (cursors.named(catalog, "live", source) for source in ("aaaa", "bbbb"))
    assert (one == other == "live") if catalog.is_sqlite else (one != other)
