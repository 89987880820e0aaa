"""`rondo judges label`: a person scores answers at the terminal, and a file keeps what they said.

Each answer is written down as soon as it is scored, so one may stop at any time and go on later: what the file has
already is not asked again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from rondo.cli import output
from rondo.cli.apps import which
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.moments import Moment
from rondo.errors import InvalidRequest

_SKIP, _QUIT, _HELP = "s", "q", "?"
_KEPT = ("question", "messages", "answer", "other", "expected", "context", "source")
_BETTER = {"1": "answer", "2": "other", "t": "tie"}


class Stopped(Exception):
    """The person has had enough."""


@click.command("label")
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--app", help="Whose judge; by default this project folder's app's, or the only one's.")
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of answers: of `rondo runs export`, or with `question` and `answer` a line; without it, live calls.",
)
@click.option(
    "--calls", type=click.IntRange(1, 1000), default=30, show_default=True, help="How many live calls to show."
)
@click.option("--since", type=Moment(), help="Only calls since: 7d, or a time like 2026-11-21T10:00:00Z.")
@click.option("--as", "annotator", default="", metavar="NAME", help="Who labels, where several people do.")
@connected
async def label(
    api: Api,
    name: str,
    file: Path,
    *,
    app: str | None,
    source: Path | None,
    calls: int,
    since: str | None,
    annotator: str,
) -> None:
    """Score answers as the judge NAME would, and write what you say into FILE.

    `rondo judges calibrate NAME --labels FILE` compares the judge with it.
    """
    owner = await which(api, app)
    judge = (await api.get(f"/api/judges/{segment(name)}", app=owner))["line"]["judge"]
    shown = list(_lines(source)) if source is not None else await _calls(api, owner, calls, since)
    done = {_key(each) for each in _lines(file) if each.get("annotator", "") == annotator}
    waiting = [each for each in shown if _key(each) not in done]
    written = 0
    try:
        for number, each in enumerate(waiting, 1):
            output.heading(f"{number} of {len(waiting)}")
            said = _ask(judge, each)
            if said:
                kept = {key: each[key] for key in _KEPT if key in each} | said
                if annotator:
                    kept["annotator"] = annotator
                with file.open("a", encoding="utf-8") as opened:
                    opened.write(json.dumps(kept, ensure_ascii=False) + "\n")
                written += 1
    except (Stopped, click.Abort):
        click.echo()
    click.echo(f"{written:,} labels written to {file}; {len(waiting) - written:,} answers left")


async def _calls(api: Api, app: str, how_many: int, since: str | None) -> list[dict[str, Any]]:
    page = await api.get("/api/calls", app=app, limit=how_many, since=since, status="ok", arm="live")
    found = []
    for row in page["items"]:
        call = (await api.get(f"/api/calls/{segment(row['trace_id'])}"))["calls"][0]
        messages = json.loads(call["input"] or "[]")
        asked = {"messages": messages} if isinstance(messages, list) and messages else {"question": call["question"]}
        context = [chunk["text"] for chunk in call["chunks"] or ()]
        found.append({**asked, "answer": call["answer"], "context": context, "source": row["trace_id"]})
    return found


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """Nothing, where there is no such file yet. Raises InvalidRequest, which names the line."""
    if not file.exists():
        return
    with file.open(encoding="utf-8-sig") as opened:
        for number, line in enumerate(opened, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError as error:
                raise InvalidRequest(f"{file}, line {number} is no JSON: {error}.", param="file") from None
            if isinstance(value, dict) and isinstance(value.get("result"), dict):
                value = _of_run(value)
                if value is None:
                    continue
            if not isinstance(value, dict) or not isinstance(value.get("answer"), str):
                raise InvalidRequest(f"{file}, line {number} has no `answer`.", remedy="Write objects.", param="file")
            yield value


def _of_run(row: dict[str, Any]) -> dict[str, Any] | None:
    """A line of `rondo runs export` as an answer to label; None where nothing was answered."""
    answer, example = row["result"].get("answer"), row["example"]
    if answer is None:
        return None
    found = {"messages": example["messages"], "answer": answer["text"]}
    if example.get("expected") is not None:
        found["expected"] = example["expected"]
    if answer.get("chunks"):
        found["context"] = [chunk["text"] for chunk in answer["chunks"]]
    return found


def _key(each: dict[str, Any]) -> str:
    asked = each.get("messages") or each.get("question")
    return json.dumps([asked, each["answer"], each.get("other")], sort_keys=True)


def _ask(judge: dict[str, Any], each: dict[str, Any]) -> dict[str, Any]:
    """What the person says of one answer; empty where they pass it over. Raises Stopped."""
    _show(judge, each)
    if judge["kind"] == "yes_no":
        said = _choice(judge["question"], {"y": "yes", "n": "no"}, {})
        return {} if said is None else {"verdict": said}
    if judge["kind"] == "pairwise":
        said = _choice(judge["question"] or "Which answer is better, 1 or 2, or t for a tie?", _BETTER, {})
        return {} if said is None else {"better": said}
    scores = {}
    for criterion in judge["criteria"]:
        scale = {str(score): score for score in range(criterion["lowest"], criterion["highest"] + 1)}
        title = f"{criterion['name']}, {criterion['lowest']} to {criterion['highest']}"
        score = _choice(title, scale, {"": criterion["question"], **criterion["anchors"]})
        if score is not None:
            scores[criterion["name"]] = score
    return {"scores": scores} if scores else {}


def _show(judge: dict[str, Any], each: dict[str, Any]) -> None:
    messages = each.get("messages") or [{"role": "user", "content": each.get("question")}]
    for message in messages:
        content = message.get("content")
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        click.echo(output.paint(f"{output.one_line(str(message.get('role')))}:", "cyan"))
        output.block(text)
    for number, passage in enumerate(each.get("context") or (), 1):
        click.echo(output.paint(f"passage {number}:", "bright_black"))
        output.block(str(passage))
    if each.get("expected") is not None:
        click.echo(output.paint("expected:", "green"))
        output.block(output.pretty(each["expected"]))
    if judge["kind"] == "pairwise":
        for title, key in (("answer 1:", "answer"), ("answer 2:", "other")):
            click.echo(output.paint(title, "yellow"))
            output.block(str(each.get(key) or ""))
        return
    click.echo(output.paint("answer:", "yellow"))
    output.block(each["answer"])


def _choice(title: str, allowed: dict[str, Any], help_: dict[str, str]) -> Any:
    """One of `allowed`; None where it is passed over. Raises Stopped."""
    hint = f"{', '.join(allowed)}; {_SKIP} skips, {_QUIT} ends" + (f", {_HELP} explains" if help_ else "")
    while True:
        word = click.prompt(f"{output.one_line(title)} ({hint})", type=str).strip().lower()
        if word == _QUIT:
            raise Stopped
        if word == _SKIP:
            return None
        if word in allowed:
            return allowed[word]
        if word == _HELP and help_:
            output.facts(help_.items(), indent=2)
        else:
            click.echo(f"{output.one_line(word)!r} is none of these.")
