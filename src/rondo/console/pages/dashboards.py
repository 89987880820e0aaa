"""Dashboards: traffic, quality and resources over time, for a choice of app, release, model and arm."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from rondo import clock
from rondo.console import formats
from rondo.console.cards import Card, columns, lines, zeros
from rondo.console.visit import Page, Visit
from rondo.errors import InvalidRequest
from rondo.evals.written import amount
from rondo.governance.model import Role
from rondo.monitoring.dashboards.evaluations import Evaluation, EvaluationSeries
from rondo.monitoring.dashboards.quality import Estimated, GoalSeries, Quality, ScoreSeries, quality
from rondo.monitoring.dashboards.reached import declared
from rondo.monitoring.dashboards.traffic import TrafficBoard, traffic
from rondo.monitoring.dashboards.window import NAMES, Chosen, Window, parse_chosen, parse_window
from rondo.monitoring.resources import Sample, Usage

_DAYS_30_US = 30 * 86_400_000_000


async def show_traffic(visit: Visit) -> Response:
    window, chosen, error = read_choice(visit)
    told, facets = await asyncio.gather(
        asyncio.to_thread(traffic, visit.control.records, visit.project, window, chosen), choices(visit)
    )
    return _page(visit, "traffic", window=window, facets=facets, cards=_traffic_cards(told), error=error)


async def show_quality(visit: Visit) -> Response:
    window, chosen, error = read_choice(visit)
    known = await visit.control.read(lambda connection: declared(connection, visit.project, window, chosen))
    told, facets = await asyncio.gather(
        asyncio.to_thread(quality, visit.control.records, visit.project, window, chosen, known), choices(visit)
    )
    return _page(visit, "quality", window=window, facets=facets, cards=_quality_cards(told), error=error)


async def show_resources(visit: Visit) -> Response:
    window, _, error = read_choice(visit)
    told = visit.control.watching.resources.usage(visit.project, since=window.since)
    cards = _resource_cards(told)
    return _page(visit, "resources", window=window, facets=None, cards=cards, error=error, models=told.models)


def read_choice(
    visit: Visit, *, arm: str = "live", window: str = "24h"
) -> tuple[Window, Chosen, InvalidRequest | None]:
    """What the address asks for; the usual, with what is wrong, where it asks for something that cannot be."""
    words = {name: value.strip() for name, value in visit.request.query_params.items()}
    try:
        return parse_window({"window": window, **words}), parse_chosen(words, arm=arm), None
    except InvalidRequest as error:
        return parse_window({"window": window}), parse_chosen({}, arm=arm), error


async def choices(visit: Visit) -> dict[str, list[str]]:
    """What can be chosen: what was called in the last 30 days."""
    now = clock.now_us()
    recent = {"project": visit.project, "since": now - _DAYS_30_US, "until": now}
    found: dict[str, list[str]] = {}
    for row in await asyncio.to_thread(visit.control.records.query, "facets", recent):
        found.setdefault(row["facet"], []).append(row["value"])
    return found


def _page(
    visit: Visit,
    board: str,
    *,
    window: Window,
    facets: dict[str, list[str]] | None,
    cards: list[Card],
    error: InvalidRequest | None,
    **more: Any,
) -> Response:
    return visit.page(
        "dashboards.html",
        status=400 if error else 200,
        board=board,
        window=window,
        windows=NAMES,
        facets=facets,
        cards=cards,
        error=error,
        models=more.get("models", []),
    )


def _traffic_cards(told: TrafficBoard) -> list[Card]:
    series, totals, at = told.series, told.totals, told.buckets
    failed = zeros(series["errors"])
    answered = [calls - bad for calls, bad in zip(zeros(series["calls"]), failed, strict=True)]
    rate = (totals["errors"] or 0) / totals["calls"] if totals["calls"] else None
    unknown = f"{formats.count(totals['cost_unknown'])} calls of unknown cost are not in it."
    unknown = unknown if totals["cost_unknown"] else ""
    savings = f"{formats.count(totals['cache_hits'])} answers from the cache"
    latencies = {name: series[f"{name}_ms"] for name in ("p50", "p95", "p99")}
    firsts = {name: series[f"first_token_{name}_ms"] for name in ("p50", "p95")}
    return [
        columns(
            "Calls", at, {"answered": answered, "failed": failed}, formats.count,
            figure=formats.count(totals["calls"]), wide=True, tone="calls",
        ),
        columns(
            "Errors by kind", at, told.errors, formats.count,
            figure=formats.percent(rate) if rate is not None else formats.NONE, tone="errors",
            note="Calls that failed; a caller who hung up is none.",
        ),
        columns(
            "Active users", told.users.buckets, {"users": told.users.users}, formats.count,
            figure="≈ " + formats.count(told.users.total), note="Distinct users; of all releases and models.",
        ),
        lines(
            "Latency", at, latencies, formats.duration, figure=formats.duration(totals["p95_ms"]) + " p95",
            overall={name: totals[f"{name}_ms"] for name in latencies}, note="Of answered calls, to within 2 %.",
        ),
        lines(
            "Time to first token", at, firsts, formats.duration,
            figure=formats.duration(totals["first_token_p95_ms"]) + " p95",
            overall={name: totals[f"first_token_{name}_ms"] for name in firsts}, note="Of streamed answers.",
        ),
        columns(
            "Tokens", at,
            {"input": zeros(series["input_tokens"]), "input, cached": zeros(series["cached_tokens"]),
             "output": zeros(series["output_tokens"])},
            formats.count, figure=formats.count(totals["tokens"]),
        ),
        columns(
            "Cost", at, {"cost": zeros(series["cost_usd"])}, formats.money,
            figure=formats.money(totals["cost_usd"] if totals["calls"] else 0.0),
            note=unknown,
        ),
        columns(
            "Saved by the cache", at, {"saved": zeros(series["saved_usd"])}, formats.money,
            figure=formats.money(totals["saved_usd"] or 0.0), note=savings,
        ),
    ]  # fmt: skip


def _quality_cards(told: Quality) -> list[Card]:
    handed = told.handed_over_overall
    evaluated = {(series.app, series.metric) for series in told.evaluations}
    cards = [_goal_card(goal, told.buckets, is_evaluated=(goal.app, goal.metric) in evaluated) for goal in told.goals]
    cards += [_score_card(score, told.buckets) for score in told.scores]
    cards += [_evaluation_card(series) for series in told.evaluations]
    cards.append(
        _estimates(
            "Handed over to a person", told.handed_over, told.buckets, formats.percent,
            figure=formats.percent(handed.value) + _interval(handed, formats.percent),
            note="Deflection, the share that needed nobody, is the rest: "
            + formats.percent(None if handed.value is None else 1 - handed.value) + ".",
        )
    )  # fmt: skip
    return cards


def _goal_card(goal: GoalSeries, buckets: Sequence[int], *, is_evaluated: bool = False) -> Card:
    def words(value: float | None) -> str:
        return formats.metric(value, goal.metric) if value is not None else formats.NONE

    mark = goal.at_least if goal.at_least is not None else goal.at_most
    met = sum(1 for kept in goal.kept if kept)
    measured = sum(1 for kept in goal.kept if kept is not None)
    silent = "No call tells of it; evaluations do, below." if is_evaluated else "Not measured in this time."
    sign = "≥" if goal.at_least is not None else "≤"
    return lines(
        f"{goal.app}: {goal.metric} {sign} {words(mark)}", buckets, {goal.metric: goal.values}, words,
        bands=[(goal.lows, goal.highs)],
        figure=formats.metric(goal.value, goal.metric), mark=mark,
        note=f"Met in {met} of {measured} measured stretches." if measured else silent,
        tone="wait" if goal.met is None else "good" if goal.met else "bad",
    )  # fmt: skip


def _evaluation_card(series: EvaluationSeries) -> Card:
    """A place for each run that asked a release or a draft; what was only asked to compare with is not drawn."""

    def words(value: float | None) -> str:
        return amount(value, series.unit)

    points = [point for point in series.points if not point.is_baseline] or series.points
    last = points[-1]
    many = "1 evaluation" if len(points) == 1 else f"{len(points)} evaluations"
    return lines(
        f"{series.app}: {series.metric} in {series.suite}", [point.at for point in points],
        {series.metric: [point.value for point in points]}, words, figure=words(last.value) + _interval(last, words),
        bands=[([point.low for point in points], [point.high for point in points])],
        mark=series.at_least if series.at_least is not None else series.at_most,
        note=f"{many}; the last is {last.run} of {last.label}, over {formats.count(last.n)} examples.",
        link=f"/runs/{quote(last.run, safe='')}",
    )  # fmt: skip


def _score_card(score: ScoreSeries, buckets: Sequence[int]) -> Card:
    if score.data_type == "category":
        counts = [float(point.n) for point in score.points]
        return columns(f"{score.name} ({score.kind})", buckets, {"scores": counts}, formats.count,
                       figure=formats.count(score.overall.n), note="Categories have no mean.")  # fmt: skip
    words = formats.percent if score.data_type == "boolean" else _number
    said = "Share in favour" if score.data_type == "boolean" else "Mean"
    return _estimates(
        f"{score.name} ({score.kind})", score.points, buckets, words,
        figure=words(score.overall.value) + _interval(score.overall, words),
        note=f"{said} of {formats.count(score.overall.n)} scores, with its 95 % interval.",
    )  # fmt: skip


def _estimates(
    title: str, points: Sequence[Estimated], buckets: Sequence[int], words: Any, *, figure: str, note: str
) -> Card:
    band = ([point.low for point in points], [point.high for point in points])
    is_share = words is formats.percent
    return lines(
        title, buckets, {"value": [point.value for point in points]}, words,
        figure=figure, bands=[band], most=1.0 if is_share else None, note=note,
    )  # fmt: skip


def _interval(told: Estimated | Evaluation, words: Any) -> str:
    return "" if told.low is None or told.high is None else f" ({words(told.low)} to {words(told.high)})"


def _number(value: float | None) -> str:
    return formats.NONE if value is None else f"{value:.3g}"


_HOST: dict[str, tuple[str, Any]] = {
    "cpu_share": ("Processors of the host", formats.percent),
    "memory_share": ("Memory of the host", formats.percent),
    "disk_share": ("Disk with the data", formats.percent),
    "rondo_bytes": ("Rondo's own memory", formats.size),
}
_MODEL: dict[str, tuple[str, Any]] = {
    "gpu_share": ("GPU", formats.percent),
    "gpu_memory_used_bytes": ("GPU memory", formats.size),
    "gpu_celsius": ("GPU temperature, °C", formats.count),
    "gpu_watts": ("GPU power, W", formats.count),
    "running": ("Requests under way", formats.count),
    "waiting": ("Requests waiting", formats.count),
    "kv_cache_share": ("KV cache", formats.percent),
    "prompt_tokens_per_s": ("Prompt tokens per second", formats.count),
    "generated_tokens_per_s": ("Generated tokens per second", formats.count),
}


def _resource_cards(told: Usage) -> list[Card]:
    cards = [card for name, (title, words) in _HOST.items() if (card := _sampled(title, told.host, name, words))]
    for server in told.models:
        for name, (title, words) in _MODEL.items():
            card = _sampled(f"{server.model}: {title}", server.samples, name, words)
            cards += [card] if card else []
    return cards


def _sampled(title: str, samples: Sequence[Sample], name: str, words: Any) -> Card | None:
    values = [sample.values.get(name) for sample in samples]
    known = [value for value in values if value is not None]
    if not known:
        return None

    def told(value: float | None) -> str:
        return str(words(round(value) if value is not None and words is formats.size else value))

    return lines(
        title, [sample.at for sample in samples], {"now": values}, told, figure=told(known[-1]),
        most=1.0 if words is formats.percent else None,
    )  # fmt: skip


PAGES = [
    Page("GET", "/dashboards", Role.VIEWER, show_traffic),
    Page("GET", "/dashboards/quality", Role.VIEWER, show_quality),
    Page("GET", "/dashboards/resources", Role.VIEWER, show_resources),
]
