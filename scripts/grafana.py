"""Writes the Grafana dashboard that Rondo ships (`src/rondo/templates/grafana/`): `python scripts/grafana.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

STEP = "[$__rate_interval]"
TARGET = Path(__file__).parent.parent / "src" / "rondo" / "templates" / "grafana" / "rondo-dashboard.json"
LIVE = '{app=~"$app", arm="live"}'
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

# title, unit, width of 24, (expression, legend) ...
Panel = tuple[str, str, int, list[tuple[str, str]]]
PANELS: list[Panel] = [
    ("Requests", "reqps", 12, [(f"sum by (app) (rate(rondo_calls_total{LIVE}[$__rate_interval]))", "{{app}}")]),
    (
        "Failed requests by status",
        "reqps",
        12,
        [
            (
                'sum by (status) (rate(rondo_calls_total{app=~"$app", arm="live", status=~"[45].."}' + STEP + "))",
                "{{status}}",
            )
        ],
    ),
    (
        "Latency",
        "s",
        12,
        [
            (
                f"histogram_quantile({share}, sum by (le) (rate(rondo_call_duration_seconds_bucket{LIVE}{STEP})))",
                f"p{share * 100:g}",
            )
            for share in (0.5, 0.95, 0.99)
        ],
    ),
    (
        "Time to the first token",
        "s",
        12,
        [
            (
                f"histogram_quantile({share}, sum by (le) (rate(rondo_first_token_seconds_bucket{LIVE}{STEP})))",
                f"p{share * 100:g}",
            )
            for share in (0.5, 0.95)
        ],
    ),
    ("Cost per hour", "currencyUSD", 8, [(f"sum by (app) (rate(rondo_cost_usd_total{LIVE}[1h])) * 3600", "{{app}}")]),
    (
        "Tokens per second",
        "none",
        8,
        [(f"sum by (model) (rate(rondo_tokens_total{LIVE}[$__rate_interval]))", "{{model}}")],
    ),
    (
        "Saved by the cache per hour",
        "currencyUSD",
        8,
        [('sum by (app) (rate(rondo_cache_saved_usd_total{app=~"$app"}[1h])) * 3600', "{{app}}")],
    ),
    ("Goals met, last 24 hours", "bool_yes_no", 12, [('rondo_goal_met{app=~"$app"}', "{{app}} {{metric}}")]),
    (
        "Feedback in favour",
        "percentunit",
        12,
        [
            (
                'sum by (app, name) (increase(rondo_feedback_total{app=~"$app", verdict="positive"}[1d]))'
                ' / sum by (app, name) (increase(rondo_feedback_total{app=~"$app"}[1d]))',
                "{{app}} {{name}}",
            )
        ],
    ),
    (
        "Rollouts: share of each side",
        "percentunit",
        12,
        [('rondo_rollout_share{app=~"$app"}', "{{app}}#{{release}} {{side}}")],
    ),
    (
        "Rollouts: goals by verdict",
        "none",
        12,
        [('rondo_rollout_goals{app=~"$app"}', "{{app}}#{{release}} {{verdict}}")],
    ),
    ("Budgets used", "percentunit", 8, [("rondo_budget_used_ratio", "{{limit}} {{of}} {{period}}")]),
    (
        "Records on their way to the store",
        "s",
        8,
        [("rondo_oldest_queued_seconds", "age of the oldest"), ("rondo_records_queued", "how many")],
    ),
    ("Deployments left alone", "none", 8, [("rondo_deployment_open", "{{model}} {{address}}")]),
]


def dashboard() -> dict[str, Any]:
    panels, x, y = [], 0, 0
    for number, (title, unit, width, targets) in enumerate(PANELS, 1):
        if x + width > 24:
            x, y = 0, y + 8
        panels.append(
            {
                "id": number,
                "type": "timeseries",
                "title": title,
                "datasource": SOURCE,
                "gridPos": {"x": x, "y": y, "w": width, "h": 8},
                "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
                "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
                "targets": [
                    {
                        "refId": chr(65 + place),
                        "datasource": SOURCE,
                        "expr": expression,
                        "legendFormat": legend,
                        "exemplar": "_bucket" in expression,
                    }
                    for place, (expression, legend) in enumerate(targets)
                ],
            }
        )
        x += width
    return {
        "uid": "rondo",
        "title": "Rondo",
        "tags": ["rondo", "llm"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "annotations": {"list": []},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"},
                {
                    "name": "app",
                    "type": "query",
                    "label": "App",
                    "datasource": SOURCE,
                    "query": {"query": "label_values(rondo_calls_total, app)", "refId": "app"},
                    "refresh": 2,
                    "multi": True,
                    "includeAll": True,
                    "allValue": ".*",
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": panels,
    }


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(dashboard(), indent=2) + "\n")
