"""What is shipped for Grafana and Prometheus asks only for metrics and labels that a scrape has; and exemplars."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from click.testing import CliRunner
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from live_server import Live
from rondo.cli.main import Commands

FOLDER = files("rondo") / "templates" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "rondo-dashboard.json").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rondo-alerts.yaml").read_text())["groups"][0]["rules"]
# Grafana's own variables, in the place of which any value may stand.
VARIABLES = (("[$__rate_interval]", "[5m]"), ("$app", ".*"))
RARE = {"rondo_budget_used_ratio": {"limit", "of", "period"}, "rondo_deployment_open": {"model", "address"}}
"""Only there where a budget is set, or a model is reached over the network; with their labels."""
ROLLOUT = {
    "rondo_rollout_share": {"app", "release", "side"},
    "rondo_rollout_goals": {"app", "release", "verdict"},
    "rondo_rollout_status": {"app", "release", "status"},
    "rondo_rollout_watched": {"app", "release"},
    "rondo_rollouts_ended_total": {"app", "status"},
}
BRIEF = "# system\nBe brief.\n\n# user\n{{ question }}\n"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def expressions() -> list[str]:
    found = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    for variable, value in VARIABLES:
        found = [each.replace(variable, value) for each in found]
    return [*found, *(rule["expr"] for rule in RULES)]


def selectors(node: Any) -> Iterator[Any]:
    """Every vector that an expression reads."""
    if type(node).__name__ == "VectorSelector":
        yield node
        return
    for name in ("vector_selector", "expr", "lhs", "rhs"):
        if (child := getattr(node, name, None)) is not None:
            yield from selectors(child)
    for child in getattr(node, "args", None) or ():
        yield from selectors(child)


@pytest.fixture
async def scrape(live: Live) -> dict[str, set[str]]:
    """The metrics of a real scrape, with their labels."""
    await live.chat(stream=True)
    await live.post("/api/apps/bot/rollout", {"release": await live.release(prompt=BRIEF), "steps": ["50% 1h", "100%"]})
    await live.drained()
    await live.post("/v1/feedback", await _thumb(live))
    await live.drained()
    text = (await live.ask("GET", "/metrics", headers={"accept": OPENMETRICS})).text
    found: dict[str, set[str]] = {name: set(labels) for name, labels in RARE.items()}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        suffix = "_total" if family.type == "counter" else ""
        found.setdefault(family.name + suffix, set())
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


async def _thumb(live: Live) -> dict[str, Any]:
    calls = await live.get("/api/calls")
    return {"trace_id": calls["items"][0]["trace_id"], "name": "thumbs", "value": True}


async def test_every_metric_and_label_is_in_a_scrape(scrape: dict[str, set[str]]) -> None:
    asked = 0
    for expression in expressions():
        for selector in selectors(promql_parser.parse(expression)):
            asked += 1
            assert selector.name in scrape, expression
            if scrape[selector.name]:
                assert {matcher.name for matcher in selector.matchers.matchers} <= scrape[selector.name], expression
                grouped = re.findall(r"by \(([a-z_, ]+)\)", expression)
                labels = {label.strip() for group in grouped for label in group.split(",")}
                assert labels <= scrape[selector.name], expression
    assert asked > 30


def test_legends_and_words_name_labels_of_their_expressions() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            assert set(re.findall(r"\{\{([a-z_]+)\}\}", target["legendFormat"])) <= _labels(target["expr"])
    for rule in RULES:
        said = " ".join(rule["annotations"].values())
        assert set(re.findall(r"\$labels\.([a-z_]+)", said)) <= _labels(rule["expr"]), rule["alert"]


def _labels(expression: str) -> set[str]:
    """Labels that the result has: those it is grouped by, or those of a metric that is read as it is."""
    grouped = re.findall(r"by \(([a-z_, ]+)\)", expression)
    whole = {"rondo_goal_met": {"app", "metric"}, **ROLLOUT, **RARE}
    names = set().union(*(labels for name, labels in whole.items() if name in expression))
    return names | {label.strip() for group in grouped for label in group.split(",")}


def test_the_dashboard_is_one_that_grafana_reads() -> None:
    assert DASHBOARD["schemaVersion"] >= 36
    assert isinstance(DASHBOARD["title"], str)
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        squares = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not squares & taken
        assert place["x"] + place["w"] <= 24
        taken |= squares
        assert panel["type"] == "timeseries"
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource", "app"}


def test_rules_are_ones_that_prometheus_reads() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("warning", "critical")


async def test_durations_name_a_trace(live: Live) -> None:
    await live.chat()
    await live.drained()
    response = await live.ask("GET", "/metrics", headers={"accept": OPENMETRICS})
    assert response.headers["content-type"].startswith("application/openmetrics-text"), response.text
    calls = await live.get("/api/calls")
    traces = {
        sample.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(response.text)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar
    }
    assert traces == {call["trace_id"] for call in calls["items"]}
    plain = await live.ask("GET", "/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    assert "trace_id" not in plain.text


def test_both_files_are_exported(tmp_path: Path) -> None:
    command = Commands("rondo")
    result = CliRunner().invoke(command, ["grafana", "export", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out" / "rondo-dashboard.json").read_text()) == DASHBOARD
    again = CliRunner().invoke(command, ["grafana", "export", str(tmp_path / "out")])
    assert again.exit_code == 1
    assert "--force" in again.output
