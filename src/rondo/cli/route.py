"""`rondo route`: which models would answer a request, and why."""

from __future__ import annotations

import json
from typing import Any

import click

from rondo.cli import output
from rondo.cli.apps import which
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.errors import InvalidRequest

_MARKS: dict[bool | None, tuple[str, output.Colour]] = {
    True: ("fired", "green"),
    False: ("no", "bright_black"),
    None: ("not asked", "bright_black"),
}


@click.group("route")
def command() -> None:
    """Explain which models would answer a request."""


@command.command("explain")
@click.argument("text")
@click.option("--app", help="The app; by default this project folder's, or the only one.")
@click.option("--release", type=int, help="A release that has traffic; by default the one that the user would get.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="An app variable; JSON, or else text.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A tag, as clients send in `metadata`.")
@click.option("--user", help="Who asks.")
@click.option("--session", help="In which conversation.")
@click.option("--budget-left", type=float, metavar="SHARE", help="What is left of the budget, 0 to 1; else unknown.")
@click.option("--at", metavar="TIME", help="The moment, in ISO 8601; now by default.")
@connected
async def explain(api: Api, text: str, app: str | None, **given: Any) -> None:
    """Show what each rule says of the question TEXT, which one fires, and the models that would be tried.

    Nothing is called and nothing is recorded.
    """
    body = {
        "text": text,
        "inputs": {name: _value(value) for name, value in map(_pair, given["inputs"])},
        "tags": dict(map(_pair, given["tags"])),
        "budget_left_share": given["budget_left"],
        **{name: given[name] for name in ("user", "session", "release", "at")},
    }
    name = await which(api, app)
    api.show(await api.post(f"/api/apps/{segment(name)}/route/explain", body), _print)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidRequest(f"{text!r:.60} is no NAME=VALUE.", remedy="Write it like tier=gold.")
    return name, value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _print(answer: dict[str, Any]) -> None:
    click.echo(output.paint(f"{answer['app']}#{answer['release']}", "cyan"))
    if not answer["rules"]:
        click.echo("This release has no rules: its route is tried.")
    for at, rule in enumerate(answer["rules"]):
        mark, colour = _MARKS[rule["holds"]]
        told = output.paint(mark.ljust(9), colour)
        click.echo(f"{told}  rules[{at}]  {output.one_line(rule['when'])}  ->  {', '.join(rule['use'])}")
        output.facts(((name, _shown(value)) for name, value in rule["facts"].items()), indent=21)
    if answer["rules"] and answer["fired"] is None:
        click.echo("No rule fires: the app's route is tried.")
    click.echo(f"{'models'.ljust(9)}  {output.one_line(', then '.join(map(_label, answer['route'])))}")


def _label(model: dict[str, Any]) -> str:
    where = f"{model['provider']}/{model['model']}" if model["model"] else model["provider"]
    return f"{model['name']} ({where})"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
