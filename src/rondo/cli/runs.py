"""`rondo runs`: evaluation runs, as the server has them."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import eval_report, output
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.output import Column


@click.group("runs")
def command() -> None:
    """List, show, pause, resume, cancel and export evaluation runs. `rondo eval` starts them."""


@command.command("list")
@click.option("--app", help="Only runs of this app.")
@click.option("--suite", help="Only runs of this suite.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many runs to show.")
@connected
async def list_(api: Api, app: str | None, suite: str | None, limit: int) -> None:
    """List the newest runs, newest first."""
    columns = [
        Column("ID", "id"),
        Column("SUITE", "name"),
        Column("APP", "app"),
        Column("STATUS", eval_report.status),
        Column("DONE", lambda row: f"{row['done']:,}/{row['total']:,}", right=True),
        Column("NO ANSWER", lambda row: f"{row['failed']:,}", right=True),
        Column("SPENT", lambda row: f"${row['spent_usd']:.4f}", right=True),
        Column("CREATED", lambda row: output.when(row["created_at"])),
        Column("TARGETS", lambda row: ", ".join(target["label"] for target in row["targets"]), free=True),
    ]
    answer = await api.get("/api/runs", app=app, suite=suite, limit=limit)
    api.show(answer, lambda told: output.table(told["runs"], columns, none="There are no runs."))


@command.command("show")
@click.argument("run_id", metavar="RUN")
@click.option("--markdown", is_flag=True, help="Print the report as Markdown.")
@click.option("--failed", is_flag=True, help="Show what failed: question, answer and why.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="So many that --failed shows."
)
@connected
async def show(api: Api, run_id: str, markdown: bool, failed: bool, limit: int) -> None:
    """Show the run RUN: its report, or how far it is and why."""
    if markdown:
        parts = [part async for part in api.download(f"/api/runs/{segment(run_id)}/report", format="markdown")]
        click.echo(output.plain(b"".join(parts).decode()), nl=False)
        return
    run = await api.get(f"/api/runs/{segment(run_id)}")
    if api.wants_json:
        output.as_json(run)
    elif failed:
        await eval_report.show_failed(api, run, most=limit)
    else:
        await eval_report.show(api, run)


@command.command("pause")
@click.argument("run_id", metavar="RUN")
@connected
async def pause(api: Api, run_id: str) -> None:
    """Ask nothing more for now. What has been sent comes in, and is kept."""
    api.show(await api.post(f"/api/runs/{segment(run_id)}/pause", {}), _say)


@command.command("resume")
@click.argument("run_id", metavar="RUN")
@click.option(
    "--budget", type=click.FloatRange(0, min_open=True), metavar="USD", help="The new budget of the whole run."
)
@click.option("--again", is_flag=True, help="Ask once more what ended in an error.")
@connected
async def resume(api: Api, run_id: str, budget: float | None, again: bool) -> None:
    """Go on with a run on the server; `rondo eval --resume RUN` also follows it."""
    body = {"budget_usd": budget, "again": again}
    api.show(await api.post(f"/api/runs/{segment(run_id)}/resume", body), _say)


@command.command("cancel")
@click.argument("run_id", metavar="RUN")
@connected
async def cancel(api: Api, run_id: str) -> None:
    """Ask nothing more; results so far are kept."""
    api.show(await api.post(f"/api/runs/{segment(run_id)}/cancel", {}), _say)


@command.command("export")
@click.argument("run_id", metavar="RUN")
@click.option("--failed", is_flag=True, help="Only what failed.")
@connected
async def export(api: Api, run_id: str, failed: bool) -> None:
    """Print every result with its example, a line of JSON each."""
    after: str | None = None
    while True:
        page = await api.get(
            f"/api/runs/{segment(run_id)}/results", limit=500, after=after, failed=True if failed else None
        )
        for row in page["results"]:
            output.json_line(row)
        after = page["after"]
        if after is None:
            return


def _say(run: dict[str, Any]) -> None:
    click.echo(f"{output.one_line(run['id'])} is {run['status']}")
