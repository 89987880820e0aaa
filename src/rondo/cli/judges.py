"""`rondo judges`: models that judge answers, and how well they agree with people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from rondo.cli import output
from rondo.cli.apps import which
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.eval_targets import Varied, drafted
from rondo.cli.labelling import label
from rondo.cli.moments import Moment
from rondo.cli.output import Column, Row
from rondo.errors import InvalidRequest

FAILED = 1


@click.group("judges")
def command() -> None:
    """List, show and calibrate judges, and label answers for them.

    A judge is declared as [judges.NAME] in rondo.toml. With a mark, its word counts at a gate only while it agrees with
    people.
    """


command.add_command(label)


@command.command("list")
@click.argument("app", required=False)
@connected
async def list_(api: Api, app: str | None) -> None:
    """List the judges of APP, or of all apps, as they were frozen last."""
    columns = [
        Column("JUDGE", lambda row: row["judge"]["name"]),
        Column("APP", "app"),
        Column("KIND", lambda row: row["judge"]["kind"]),
        Column("MODEL", lambda row: row["judge"]["model"]["name"]),
        Column("VERSION", lambda row: output.short(row["version"])),
        Column("KAPPA", lambda row: _number(row["kappa"]), right=True),
        Column("MARK", lambda row: _number(row["judge"]["mark"]), right=True),
        Column("ANSWERS", lambda row: row["answers"], right=True),
        Column("CALIBRATED", lambda row: output.when(row["calibrated_at"])),
        Column("COUNTS", lambda row: "yes" if row["counts"] else "no"),
    ]
    answer = await api.get("/api/judges", app=app)
    api.show(answer, lambda told: output.table(told["judges"], columns, none="No app has a judge."))


@command.command("show")
@click.argument("name")
@click.option("--app", help="Whose judge; by default this project folder's app's, or the only one's.")
@connected
async def show(api: Api, name: str, app: str | None) -> None:
    """Show what the judge NAME asks, and how well it agreed with people each time it was measured."""
    answer = await api.get(f"/api/judges/{segment(name)}", app=await which(api, app))
    api.show(answer, _print)


@command.command("calibrate")
@click.argument("name")
@click.option("--app", help="Whose judge; by default this project folder's app's, or the only one's.")
@click.option(
    "--labels",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of labels, a JSON object in each line; without it, what reviewers said of live calls.",
)
@click.option(
    "--since", type=Moment(), help="Only what reviewers said since: 30d, or a time like 2026-11-21T10:00:00Z."
)
@click.option(
    "--on", metavar="RELEASE", help="A release's number, or the hash of a release or draft; the last one made."
)
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Freeze this project folder as a draft first, and calibrate the judge that it declares.",
)
@click.option("--run", metavar="ID", help="Correct the means of this evaluation run by the labels.")
@click.option("--budget", type=float, metavar="USD", help="Stop before the judge has cost more.")
@connected
async def calibrate(
    api: Api,
    name: str,
    *,
    app: str | None,
    file: Path | None,
    on: str | None,
    project: Path | None,
    budget: float | None,
    **more: Any,
) -> None:
    """Ask the judge NAME about answers that people have labelled, and keep how well it agrees with them.

    Exits with 1 where the judge falls short of its mark.
    """
    if on is not None and project is not None:
        raise click.UsageError("Give --on or --project, not both.")
    if project is not None:
        (on,) = await drafted(api, project, Varied())
    body = {"app": await which(api, app), "on": on, "budget_usd": budget, **more}
    if file is not None:
        body["labels"] = _read(file)
    wanted = {key: value for key, value in body.items() if value is not None}
    answer = await api.post(f"/api/judges/{segment(name)}/calibrations", wanted, slow=True)
    api.show(answer, _print_calibration)
    if not answer["passed"]:
        raise SystemExit(FAILED)


def _read(file: Path) -> list[Any]:
    """Raises InvalidRequest, which names the line."""
    found = []
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{file} cannot be read: {error}.", remedy="Save it as UTF-8.", param="labels") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(json.loads(line, parse_constant=_no_number))
            except ValueError as error:
                raise InvalidRequest(f"{file}, line {number} is no JSON: {error}.", param="labels") from None
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _print(story: dict[str, Any]) -> None:
    line = story["line"]
    judge = line["judge"]
    model = judge["model"]
    output.facts(
        [
            ("judge", f"{judge['name']} of {line['target']}"),
            ("kind", judge["kind"]),
            ("model", f"{model['name']} ({model['provider']} {model['model']})"),
            ("version", line["version"]),
            ("votes", judge["votes"]),
            ("question", judge["question"]),
            ("instructions", judge["instructions"]),
            ("metrics", ", ".join(line["metrics"])),
            ("standing", line["sentence"]),
        ]
    )
    for criterion in judge["criteria"]:
        output.heading(f"{criterion['name']} ({criterion['lowest']} to {criterion['highest']})")
        click.echo(f"  {output.one_line(criterion['question'])}")
        output.facts(sorted(criterion["anchors"].items(), key=lambda pair: int(pair[0])), indent=2)
    output.heading("calibrations")
    columns = [
        Column("AT", lambda row: output.when(row["created_at"])),
        Column("VERSION", lambda row: output.short(row["version"])),
        Column("KAPPA", lambda row: _number(row["kappa"]), right=True),
        Column("MARK", lambda row: _number(row["mark"]), right=True),
        Column("ANSWERS", lambda row: row["measured"]["answers"], right=True),
        Column("PASSED", lambda row: "yes" if row["passed"] else "no"),
        Column("BY", "created_by", free=True),
    ]
    output.table(story["calibrations"], columns, none="It has never been calibrated.", indent=2)
    if story["calibrations"]:
        output.heading("the newest")
        _print_measured(story["calibrations"][0]["measured"])


def _print_calibration(calibration: dict[str, Any]) -> None:
    mark = "" if calibration["mark"] is None else f" of at least {calibration['mark']:g}"
    colour: output.Colour = "green" if calibration["passed"] else "red"
    words = f"{'passed' if calibration['passed'] else 'falls short'}: kappa {_number(calibration['kappa'])}{mark}"
    click.echo(output.paint(words, colour))
    _print_measured(calibration["measured"])


def _print_measured(measured: dict[str, Any]) -> None:
    columns = [
        Column("ASPECT", "aspect"),
        Column("ANSWERS", "compared", right=True),
        Column("SAME", lambda row: _share(row["exact"]), right=True),
        Column("KAPPA", lambda row: _bounded(row["kappa"])),
        Column("ALPHA", lambda row: _bounded(row["alpha"])),
        Column("PEOPLE", lambda row: _bounded(row["people_alpha"])),
        Column("LEAN", lambda row: _bounded(row["lean"], sign=True)),
        Column("BY LENGTH", lambda row: _bounded(row["length"], sign=True)),
        Column("FAILED", "failed", right=True),
    ]
    output.table(measured["aspects"], columns, none="Nothing was measured.", indent=2)
    for aspect in measured["aspects"]:
        _print_confusion(aspect)
    position = measured["position"]
    if position is not None:
        click.echo(
            f"  order: {_bounded(position['consistent'], percent=True)} of {position['asked']:,} verdicts are the same"
            f" in both; the first answer wins {_bounded(position['preference'], sign=True)} more often than the second"
        )
    for each in measured["corrected"]:
        click.echo(
            f"  {output.one_line(each['target'])} {each['metric']}: judged {each['judged']:.3f},"
            f" corrected {_bounded(each['corrected'])} ({each['labels']:,} labels, {each['n']:,} examples)"
        )
    errors = ", ".join(f"{count} {name}" for name, count in measured["errors"].items())
    click.echo(
        f"  {measured['answers']:,} answers from {measured['source']}, cost {output.money(measured['cost_usd'])}"
    )
    if errors:
        click.echo(output.paint(f"  the judge gave no verdict: {errors}", "red"))


def _print_confusion(aspect: dict[str, Any]) -> None:
    """Rows are what people said, columns what the judge said."""
    words = aspect["words"]
    rows: list[Row] = [
        {"people": word, **{f"judge {other}": count for other, count in zip(words, counts, strict=True)}}
        for word, counts in zip(words, aspect["confusion"], strict=True)
        if any(counts)
    ]
    if len(words) > 11 or not rows:
        return
    click.echo()
    click.echo(f"  {aspect['aspect']}: people in rows, the judge in columns")
    columns = [Column("", "people"), *(Column(word, f"judge {word}", right=True) for word in words)]
    output.table(rows, columns, none="", indent=2)


def _bounded(value: dict[str, Any], *, sign: bool = False, percent: bool = False) -> str:
    if value["value"] is None:
        return "-"
    form = "{:.0%}" if percent else "{:+.2f}" if sign else "{:.2f}"
    middle = form.format(value["value"])
    if value["low"] is None or value["high"] is None:
        return middle
    return f"{middle} [{form.format(value['low'])}, {form.format(value['high'])}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
