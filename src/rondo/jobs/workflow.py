"""The one workflow that DBOS knows: run a job. Importing this file imports DBOS, which takes a second.

Nothing is pickled (arguments are two strings, in JSON), nothing is sent anywhere, and no line is logged but warnings.
The version is fixed: by default DBOS would take jobs up again only with the very code that began them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from rondo.errors import Conflict, Unavailable
from rondo.jobs.durable import Interrupted

_APPLICATION = "rondo"
_SCHEMA = "rondo_jobs"
_VERSION = "1"
_POLL_S = 0.25
_ENDED = frozenset(("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"))

_WAITING = frozenset(("ENQUEUED", "DELAYED"))

Run = Callable[[str, str], None]

_run: Run | None = None


@DBOS.workflow(name="rondo.job", max_recovery_attempts=None)
def _job(kind: str, subject: str) -> None:
    if _run is None:
        raise Interrupted
    _run(kind, subject)


def start(url: str, run: Run, kinds: Mapping[str, int]) -> None:
    """Open the database, and take up what was left. Raises Conflict where this process has done so already,
    Unavailable where the database cannot be opened."""
    global _run  # noqa: PLW0603
    if _run is not None:
        raise Conflict("Another server of this process runs jobs.", remedy="Start it in a process of its own.")
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # it then adds none of its own, and our log gets its warnings
    try:
        DBOS(
            config={
                "name": _APPLICATION,
                "application_version": _VERSION,
                "executor_id": _APPLICATION,
                "system_database_url": _address(url),
                "dbos_system_schema": _SCHEMA,
                "serializer": DBOSPortableJSONSerializer(),
                "enable_otlp": False,
                "use_listen_notify": False,
                "log_level": "WARNING",
                "sys_db_pool_size": 5,
                "scheduler_polling_interval_sec": 3600.0,
            }
        )
        _run = run
        DBOS.launch()
        for kind, at_once in kinds.items():
            DBOS.register_queue(kind, worker_concurrency=at_once, polling_interval_sec=_POLL_S)
    except BaseException as error:
        stop()
        if isinstance(error, SQLAlchemyError):
            raise Unavailable(
                "The database of the jobs cannot be opened.", remedy="Check that it runs and has free disk."
            ) from error
        raise


def enqueue(kind: str, subject: str) -> bool:
    """Keep a job, unless it is waiting already: whether it waits its turn now. One that has ended is begun anew; one
    that is being run, or has not been noted as ended yet, is left alone."""
    name = f"{kind}:{subject}"
    status = DBOS.get_workflow_status(name)
    if status is not None:
        if status.status not in _ENDED:
            return status.status in _WAITING
        DBOS.delete_workflow(name)
    with SetWorkflowID(name):
        DBOS.enqueue_workflow(kind, _job, kind, subject)
    return True


def stop() -> None:
    """Let go of everything. No job runs any more."""
    global _run  # noqa: PLW0603
    _run = None
    DBOS.destroy()


def _address(url: str) -> str:
    """The database, with the driver that is installed."""
    parsed = make_url(url)
    driver = "sqlite" if parsed.get_backend_name() == "sqlite" else "postgresql+psycopg"
    return parsed.set(drivername=driver).render_as_string(hide_password=False)
