"""`rondo why`: the whole story of one answer, on one screen.

From the question down to who let the release serve that answered it. What is long is cut, and says so; `--full`
shows it whole.
"""

from __future__ import annotations

import json
from typing import Any

import click

from rondo.cli import output
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.feedback import shown_value
from rondo.cli.output import count, milliseconds, money, one_line, when
from rondo.cli.trace_tree import show_tree
from rondo.errors import NotFound

_LINES = 6
"""Lines shown of a long text."""


@click.command("why")
@click.argument("trace")
@click.option("--full", is_flag=True, help="Show long texts whole.")
@connected
async def command(api: Api, trace: str, full: bool) -> None:
    """Tell why the answer with the id TRACE is what it is.

    Question, answer, release and its hash, the prompt as the model got it, passages with their sources and scores,
    every try at a model, tokens, cost, timings, judgements, and who released it. The id is in the response's header
    x-rondo-trace-id.
    """
    story, tree = await _found(api, f"/api/why/{segment(trace)}"), await _found(api, f"/api/traces/{segment(trace)}")
    lines = None if full else _LINES
    if story is None:
        if tree is None:
            raise NotFound(f"There is no trace {trace!r}.", remedy="A new one appears once the drain has stored it.")
        api.show(tree, lambda told: show_tree(told, whole=full))  # of other programs, without a call of a model
    elif tree is None or not tree["from_outside"]:
        api.show(story, lambda told: _tell(told, lines))
    else:
        api.show({**story, "trace": tree}, lambda told: _tell_both(told, lines))


async def _found(api: Api, path: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = await api.get(path)
    except NotFound:
        return None
    return found


def _tell_both(told: dict[str, Any], lines: int | None) -> None:
    _tell(told, lines)
    output.heading("trace")
    show_tree(told["trace"], whole=lines is None)


def _tell(story: dict[str, Any], lines: int | None) -> None:
    call = story["call"]
    outcome = output.paint("failed", "red") if story["failed"] else "answered"
    if call.get("handed_over"):
        outcome = "handed over to a person"
    click.echo(f"{story['trace_id']}  {outcome}  {when(call['started_at'])}  {milliseconds(call['duration_ms'])}")
    output.heading("question")
    _text(call["question"], lines)
    output.heading("answer")
    if story["failed"]:
        output.block(f"{call['status']} {call.get('error_code') or ''}: {call.get('error_message') or 'no message'}")
    if call["answer"] or not story["failed"]:
        _text(call["answer"], lines)
    output.heading("why")
    output.facts([*_release(story), *_serving(story), *_price(story)], indent=2)
    if story["passages"]:
        output.heading("passages")
        _passages(story["passages"], lines)
    if call.get("rendered"):
        output.heading("prompt as the model got it")
        _messages(call["rendered"], lines)
    output.heading("steps")
    _steps(story["steps"])
    output.heading("judgements")
    _scores(story["scores"])
    if story["others"]:
        others = len(story["others"])
        click.echo(
            f"\n{others} more {'call' if others == 1 else 'calls'} in this trace: rondo calls show {story['trace_id']}"
        )


def _release(story: dict[str, Any]) -> list[tuple[str, object]]:
    call, release = story["call"], story["release"]
    if call.get("arm") == "traced":
        told = f"{call.get('app') or 'another program'} made the call by itself, and told of it by OpenTelemetry"
        return [("release", f"none: {told}")]
    if call.get("release") is None:
        return [("release", f"none: the client asked for the model {call['requested_model']}")]
    facts: list[tuple[str, object]] = [
        ("release", f"{call['app']}#{call['release']}"),
        ("hash", f"{call['release_hash']}  {_intact(story['release_intact'])}"),
    ]
    if call.get("rollout") is not None:
        side = "the candidate" if call["variant"] == "candidate" else "the baseline"
        facts.append(("rollout", f"{side} of {call['rollout']}"))
    if release is None:
        return [*facts, ("made by", "unknown: the catalog no longer has this release")]
    message = f"  “{release['message']}”" if release["message"] else ""
    facts.append(("made by", f"{release['created_by']}, {when(release['created_at'])}{message}"))
    if release["promoted_by"] is not None:
        facts.append(("let serve by", f"{release['promoted_by']}, {when(release['promoted_at'])}"))
    if release.get("gate") is not None:
        facts.append(("gate", _gate(release["gate"])))
    return facts


def _gate(gate: dict[str, Any]) -> str:
    if gate["is_exception"]:
        return f"{gate['verdict']}; an exception of {gate['by']}, {when(gate['at'])}: “{gate['reason']}”"
    return f"passed, {when(gate['at'])}"


def _intact(intact: bool | None) -> str:
    return {True: "(as released)", False: "(ALTERED: the release has another hash now)", None: "(not checked)"}[intact]


def _serving(story: dict[str, Any]) -> list[tuple[str, object]]:
    call = story["call"]
    facts: list[tuple[str, object]] = []
    if call.get("prompt"):
        facts.append(("prompt", f"{call['prompt']}, version {output.short(call['prompt_version'])}"))
    if call.get("knowledge"):
        facts.append(("knowledge", f"{call['knowledge']}, version {output.short(call['knowledge_version'])}"))
    tries = call["attempts"]
    model = f"{call['model']} ({call['provider']})" if call.get("model") else "none answered"
    served = f", which served {call['served_model']}" if call.get("served_model") else ""
    if call.get("arm") == "shadow":
        facts.append(("copy of", f"{call['shadow_of']}: nobody saw this answer"))
    if call.get("rule"):
        facts.append(("rule", call["rule"]))
    if call.get("cache"):
        facts.append(("cache", f"{call['cache']}: the answer was there already, saving {money(call['saved_usd'])}"))
    facts += [("guard", _verdict(verdict)) for verdict in call.get("guards") or ()]
    return [
        *facts,
        ("model", f"{model}{served}, {tries} {'try' if tries == 1 else 'tries'}"),
        ("who asked", ", ".join(_asker(call))),
    ]


def _verdict(verdict: dict[str, Any]) -> str:
    """`pii on input: redact, 2 email, 1 phone`."""
    found = ", ".join(f"{number} {kind}" for kind, number in verdict["found"].items()) or "nothing found"
    action = f"{verdict['action']}, " if verdict["found"] else ""
    note = f" ({verdict['note']})" if verdict.get("note") else ""
    return f"{verdict['guard']} on {verdict['stage']}: {action}{found}{note}"


def _asker(call: dict[str, Any]) -> list[str]:
    tags = [f"{key}={value}" for key, value in (call.get("tags") or {}).items()]
    named = [f"{name} {call[name]}" for name in ("user", "session") if call.get(name)]
    return [*named, f"key {call['key_id']}", *tags]


def _price(story: dict[str, Any]) -> list[tuple[str, object]]:
    call = story["call"]
    parts = [
        f"{count(call[f'{name}_tokens'])} {name.replace('_', ' ')}"
        for name in ("input", "cache_read", "cache_write", "output", "reasoning")
        if call.get(f"{name}_tokens")
    ]
    tokens = count(story["tokens"]) + (f" ({', '.join(parts)})" if parts else "")
    prices = (
        f", by prices {call['price_version']}" if call.get("price_version") and call["cost_usd"] is not None else ""
    )
    first = (
        f", first token after {milliseconds(call['first_token_ms'])}" if call.get("first_token_ms") is not None else ""
    )
    return [
        ("tokens", tokens),
        ("cost", money(call["cost_usd"]) + prices + _charged(call)),
        ("took", milliseconds(call["duration_ms"]) + first),
    ]


def _charged(call: dict[str, Any]) -> str:
    """Where budgets were charged something else than the cost: some of it stayed unknown."""
    charged = call.get("charged_usd")
    if charged is None or money(charged) == money(call["cost_usd"]):
        return ""
    return f"; budgets were charged {money(charged)}"


def _passages(passages: list[dict[str, Any]], lines: int | None) -> None:
    for passage in passages:
        chunk = passage["chunk"]
        where = " > ".join(part for part in (chunk["title"], chunk["heading"]) if part)
        title = output.paint(f"[{chunk['number']}] {one_line(where)}", "green" if passage["cited"] else "bright_black")
        cited = "  cited" if passage["cited"] else ""
        click.echo(f"  {title}  {one_line(chunk['source'])}  score {chunk['score']:.2f}{cited}")
        if lines is None:
            output.block(chunk["text"], indent=6)


def _messages(rendered: str, lines: int | None) -> None:
    try:
        messages = json.loads(rendered)
        pairs = [(str(message["role"]), message.get("content")) for message in messages]
    except (ValueError, TypeError, KeyError, AttributeError):
        _text(rendered, lines)
        return
    for role, content in pairs:
        click.echo(f"  {output.paint(one_line(role), 'bright_black')}")
        _text(output.pretty(content), lines, indent=4)


def _steps(steps: list[dict[str, Any]]) -> None:
    rows = [{**step["span"], "offset_ms": step["offset_ms"], "depth": step["depth"]} for step in steps]
    columns = [
        output.Column("STEP", lambda row: f"{'> ' * row['depth']}{row['kind']} {row['name']}"),
        output.Column("AFTER", lambda row: milliseconds(row["offset_ms"]), right=True),
        output.Column("TOOK", lambda row: milliseconds(row["duration_ms"]), right=True),
        output.Column("OUTCOME", lambda row: row["error"] or row["status"]),
        output.Column("MORE", _attributes, free=True),
    ]
    output.table(rows, columns, none="none recorded", indent=2)


def _attributes(span: output.Row) -> str:
    try:
        known = json.loads(span["attributes"])
        return ", ".join(f"{name} {_brief(value)}" for name, value in known.items() if value not in (None, ""))
    except (ValueError, TypeError, AttributeError):
        return str(span["attributes"])


def _brief(value: object) -> str:
    """A value; of a long hash its first digits."""
    if isinstance(value, dict):
        return " ".join(f"{name}={_brief(each)}" for name, each in value.items())
    if isinstance(value, list):
        return " ".join(_brief(each) for each in value)
    text = str(value)
    return output.short(text) if len(text) == 64 and text.isalnum() else text


def _scores(scores: list[dict[str, Any]]) -> None:
    if not scores:
        click.echo("  none")
    for score in scores:
        comment = f"  “{score['comment']}”" if score.get("comment") else ""
        by = f"{score['kind']} {score['author']}, {when(score['created_at'])}"
        click.echo(f"  {one_line(score['name'])} {one_line(shown_value(score))}  {one_line(by + comment)}")


def _text(text: str, lines: int | None, *, indent: int = 2) -> None:
    """Print a text, or its first lines and how many more there are."""
    whole = output.plain(text).strip("\n").splitlines() or ["(empty)"]
    shown = whole if lines is None else whole[:lines]
    output.block("\n".join(shown), indent=indent)
    if len(shown) < len(whole):
        rest = len(whole) - len(shown)
        click.echo(
            " " * indent + output.paint(f"… {rest} more {'line' if rest == 1 else 'lines'}: --full", "bright_black")
        )
