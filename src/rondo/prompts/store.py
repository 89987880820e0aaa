"""Prompt versions in the catalog. They are added, never changed."""

from __future__ import annotations

from sqlalchemy import Connection, desc, func, select
from sqlalchemy.dialects import postgresql, sqlite

from rondo import clock
from rondo.catalog.schema import prompts
from rondo.errors import CorruptData, NotFound
from rondo.prompts.model import Prompt, PromptVersion
from rondo.prompts.source import parse_prompt


def save(connection: Connection, project: str, name: str, prompt: Prompt) -> str:
    """Keep a version, unless it is there already; its version."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {
        "project": project,
        "name": name,
        "version": prompt.version,
        "source": prompt.source,
        "created_at": clock.now_us(),
    }
    connection.execute(insert(prompts).values(row).on_conflict_do_nothing())
    return prompt.version


def list_prompts(connection: Connection, project: str) -> list[PromptVersion]:
    """The newest version of every prompt, by name."""
    newest = func.row_number().over(
        partition_by=prompts.c.name, order_by=(desc(prompts.c.created_at), prompts.c.version)
    )
    ranked = (
        select(prompts.c.name, prompts.c.version, prompts.c.created_at, newest.label("rank"))
        .where(prompts.c.project == project)
        .subquery()
    )
    rows = connection.execute(
        select(ranked.c.name, ranked.c.version, ranked.c.created_at).where(ranked.c.rank == 1).order_by(ranked.c.name)
    )
    return [PromptVersion(name=row.name, version=row.version, created_at=row.created_at) for row in rows]


def history(connection: Connection, project: str, name: str) -> list[PromptVersion]:
    """All versions of a prompt, newest first. Raises NotFound."""
    rows = connection.execute(
        select(prompts.c.version, prompts.c.created_at)
        .where(prompts.c.project == project, prompts.c.name == name)
        .order_by(desc(prompts.c.created_at), prompts.c.version)
    ).all()
    if not rows:
        raise NotFound(f"There is no prompt called {name!r}.", remedy="A release stores its prompt: `rondo release`.")
    return [PromptVersion(name=name, version=row.version, created_at=row.created_at) for row in rows]


def get(connection: Connection, project: str, name: str, version: str) -> Prompt:
    """A version by its hash, or by the first eight or more characters of it. Raises NotFound, CorruptData."""
    if len(version) < 8:
        raise NotFound(f"{version!r} is too short for a version.", remedy="Give at least eight characters.")
    rows = connection.execute(
        select(prompts.c.version, prompts.c.source)
        .where(
            prompts.c.project == project,
            prompts.c.name == name,
            prompts.c.version.startswith(version, autoescape=True),
        )
        .limit(2)
    ).all()
    if len(rows) != 1:
        what = "more than one version begins" if rows else "no version begins"
        raise NotFound(
            f"Of the prompt {name!r}, {what} with {version!r}.", remedy=f"See `rondo prompts history {name}`."
        )
    prompt = parse_prompt(rows[0].source, file=f"{name}.md")
    if prompt.version != rows[0].version:
        raise CorruptData(
            f"The prompt {name!r} is stored as version {rows[0].version[:12]}, but its text has {prompt.version[:12]}.",
            remedy="Restore the catalog from a backup.",
        )
    return prompt
