"""What `rondo datasets` prints: lists, versions, examples, the quality report, differences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from rondo.cli import output
from rondo.cli.output import Column

_MOST_TAGS = 12


def print_list(answer: dict[str, Any]) -> None:
    columns = [Column("DATASET", lambda row: f"{row['dataset']}@{row['number']}"), *_VERSION]
    output.table(answer["datasets"], columns, none="No dataset yet: `rondo datasets import` makes one.")


def print_versions(answer: dict[str, Any]) -> None:
    columns = [Column("VERSION", lambda row: f"{row['dataset']}@{row['number']}"), *_VERSION]
    output.table(answer["versions"], columns, none="No version.")


def print_imported(answer: dict[str, Any]) -> None:
    version = answer["version"]
    label = _label(version)
    if not answer["created"]:
        newest = (
            f"; the newest is {version['dataset']}@{answer['newest']}" if answer["newest"] != version["number"] else ""
        )
        click.echo(output.one_line(f"This is {label} already{newest}."))
        return
    click.echo(f"{label}  {version['hash']}")
    report = version["report"]
    source = report["source"]
    output.facts([("examples", f"{report['examples']:,}"), *_findings(report)], indent=2)
    for name, count in source.get("left_out", {}).items():
        click.echo(f"  left out: {output.one_line(name)} ({count:,}); kept in the example's metadata")
    for problem in source.get("problems", []):
        click.echo(f"  skipped: {output.one_line(problem)}")


def print_version(version: dict[str, Any]) -> None:
    """What a version is, in a few lines."""
    report = version["report"]
    output.facts(
        [
            ("version", _label(version)),
            ("hash", version["hash"]),
            ("made from", output.short(version["parent"])),
            ("created", output.when(version["created_at"])),
            ("by", version["created_by"]),
            ("note", version["note"]),
            ("examples", f"{version['examples']:,}"),
            *_findings(report),
        ]
    )


def print_examples(page: dict[str, Any]) -> None:
    output.heading("examples")
    columns = [
        Column("ID", lambda row: output.short(row["id"])),
        Column("SPLIT", "split"),
        Column("MUST", lambda row: "pass" if row.get("must_pass") else None),
        Column(
            "TAGS", lambda row: ", ".join(f"{key}={value}" for key, value in row.get("tags", {}).items()), free=True
        ),
        Column("QUESTION", _question, free=True),
        Column("EXPECTED", _expected, free=True),
    ]
    output.table(page["items"], columns, none="No example matches.")
    if page["after"] is not None:
        click.echo(f"There are more: --after {page['after']}")


def print_report(version: dict[str, Any]) -> None:
    """The whole quality report."""
    print_version(version)
    report = version["report"]
    output.heading("length, in characters")
    for name, spread in report.get("length", {}).items():
        words = "none" if spread is None else ", ".join(f"{key} {number:,}" for key, number in spread.items())
        output.facts([(name, words)], indent=2)
    output.heading("languages")
    languages = report.get("languages")
    if languages is None:
        click.echo("  not told: py3langid is not installed on the server (pip install 'rondo[language]')")
    else:
        output.facts(_counts(languages["found"]), indent=2)
    _print_duplicates(report)
    output.heading("tags")
    for name, told in list(report.get("tags", {}).items())[:_MOST_TAGS]:
        output.facts([(name, _values(told))], indent=2)
    hidden = len(report.get("tags", {})) - _MOST_TAGS
    if hidden > 0:
        click.echo(f"  and {hidden} more: --json shows them")
    source = report.get("source", {})
    output.heading("source")
    output.facts([(name, _shown(value)) for name, value in source.items() if value not in (None, [], {})], indent=2)


def print_difference(answer: dict[str, Any]) -> None:
    before, after, found = answer["before"], answer["after"], answer["difference"]
    counts = ", ".join(f"{count:,} {name}" for name, count in found["counts"].items() if count) or "nothing differs"
    click.echo(output.one_line(f"{_label(before)} → {_label(after)}: {counts}; {found['same']:,} the same"))
    for sign, name in (("+", "added"), ("-", "removed")):
        for each in found[name]:
            _print_line(sign, each)
    for each in found["changed"]:
        click.echo(
            output.paint(f"~ {output.short(each['after']['id'])} {output.one_line(each['after']['question'])}", "cyan")
        )
        for field, (was, now) in each["fields"].items():
            for sign, value in (("-", was), ("+", now)):
                if value is not None:
                    output.unified_diff(f"{sign} {field}: {output.one_line(_shown(value))}")
    for words, count in found["moves"].items():
        click.echo(f"{count:,} moved {output.one_line(words)}")


def print_regressions(answer: dict[str, Any]) -> None:
    columns = [
        Column("EXAMPLE", lambda row: output.short(row["example"])),
        Column("APP", "app"),
        Column("DATASET", "dataset"),
        Column("BROKE", lambda row: _release(row, "broke")),
        Column("FIXED", lambda row: _release(row, "fixed")),
        Column("ADDED", lambda row: output.when(row["created_at"])),
        Column("BY", "created_by"),
        Column("CALL", "trace_id"),
    ]
    output.table(answer["regressions"], columns, none="No call has become a test yet.")


_VERSION = [
    Column("HASH", lambda row: output.short(row["hash"])),
    Column("EXAMPLES", lambda row: output.count(row["examples"]), right=True),
    Column("CREATED", lambda row: output.when(row["created_at"])),
    Column("BY", "created_by"),
    Column("NOTE", "note", free=True),
]


def _findings(report: Mapping[str, Any]) -> list[tuple[str, object]]:
    """What one should know at once: splits, duplicates, conflicts, personal data."""
    duplicates, personal = report.get("duplicates", {}), report.get("personal", {})
    near = duplicates.get("near", {})
    found = ", ".join(f"{name} {count:,}" for name, count in personal.get("found", {}).items())
    leaks = report.get("leaks", {})
    lines: list[tuple[str, object]] = [
        ("must pass", report.get("must_pass") or None),
        ("splits", ", ".join(f"{name} {count:,}" for name, count in report.get("splits", {}).items())),
        ("identical", f"{duplicates['identical_merged']:,} merged" if duplicates.get("identical_merged") else None),
        ("same input", f"{duplicates['same_input']:,}" if duplicates.get("same_input") else None),
        (
            "near-duplicates",
            f"{near['examples']:,} in {near['clusters']:,} cluster{'' if near['clusters'] == 1 else 's'}"
            if near.get("clusters")
            else None,
        ),
        (
            "conflicts",
            f"{report['conflicts']['inputs']:,} inputs" if report.get("conflicts", {}).get("inputs") else None,
        ),
        ("leaks", ", ".join(f"{count:,} {name}" for name, count in leaks.items() if count) or None),
        ("personal data", f"{found} ({'replaced' if personal.get('replaced') else 'still there'})" if found else None),
        ("without answer", report.get("empty", {}).get("expected") or None),
        ("long", report.get("long", {}).get("examples") or None),
    ]
    return [(name, value) for name, value in lines if value not in (None, "")]


def _print_duplicates(report: Mapping[str, Any]) -> None:
    conflicts = report.get("conflicts", {"inputs": 0, "shown": []})
    if conflicts["inputs"]:
        output.heading("conflicts: one input, different answers")
    for conflict in conflicts["shown"]:
        click.echo(f"  {output.one_line(conflict['input'])}")
        for each in conflict["examples"]:
            click.echo(f"    {output.short(each['id'])}  {output.one_line(str(each['expected']))}")


def _print_line(sign: str, each: Mapping[str, Any]) -> None:
    expected = f" → {output.one_line(each['expected'])}" if each["expected"] else ""
    output.unified_diff(f"{sign} {output.short(each['id'])} {output.one_line(each['question'])}{expected}")


def _counts(counts: Mapping[str, int]) -> list[tuple[str, object]]:
    return [(name, f"{count:,}") for name, count in counts.items()]


def _values(told: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{value} {count:,}" for value, count in list(told["values"].items())[:_MOST_TAGS])
    more = told["different"] - min(len(told["values"]), _MOST_TAGS)
    return f"{shown}, and {more:,} more" if more > 0 else shown


def _question(example: Mapping[str, Any]) -> str:
    for message in reversed(example["messages"]):
        if message.get("role") == "user" and isinstance(message.get("content"), str):
            return str(message["content"])
    return _shown(example["messages"][-1].get("content"))


def _expected(example: Mapping[str, Any]) -> str | None:
    if example.get("expected") is not None:
        return _shown(example["expected"])
    if example.get("hand_over"):
        return "(hand over)"
    return f"({len(example['expect'])} checks)" if example.get("expect") else None


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _release(row: Mapping[str, Any], which: str) -> str | None:
    return f"{row['app']}#{row[which]}" if row[which] is not None else None


def _label(version: Mapping[str, Any]) -> str:
    return output.one_line(f"{version['dataset']}@{version['number']}")
