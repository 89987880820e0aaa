"""A record store of many calls for `dashboards.py`, made by DuckDB itself: a few minutes instead of hours.

Thirty days with days and nights, five apps, twelve releases of each, twenty models, 50,000 users of whom some ask far
more than others, three tags, failures, prices, scores of users and judges. The same numbers give the same store.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from rondo.reviews.model import sample_bound
from rondo.store.duckdb import DuckDBStore

DAYS = 30
DAY_US = 86_400_000_000
PROJECT = "default"

# A share of a uniform number, drawn anew for each call (`n`) and purpose (`salt`).
_DRAW = "CREATE OR REPLACE TEMP MACRO draw(n, salt) AS hash(n * 64 + salt) / 18446744073709551615.0"
# Sum of six: near enough to the normal one, of mean 0 and deviation 1.
_NORMAL = """CREATE OR REPLACE TEMP MACRO normal(n, salt) AS
    (draw(n, salt) + draw(n, salt + 1) + draw(n, salt + 2) + draw(n, salt + 3) + draw(n, salt + 4) + draw(n, salt + 5)
    - 3.0) / 0.7071"""

_CALLS = """
INSERT INTO calls BY NAME
WITH numbered AS (
    SELECT n, $first::BIGINT + (n * ($span::BIGINT // $calls))::BIGINT AS even FROM range($from, $to) made(n)
),
drawn AS (
    -- nights are a third as busy: moments are drawn towards noon
    SELECT n, even + (sin(2 * pi() * (even % 86400000000) / 86400000000.0) * 4e9)::BIGINT
            + (draw(n, 1) * 1000)::BIGINT AS moment,
        floor(pow(draw(n, 6), 3) * 50000)::BIGINT AS user_number,
        -- most users have one app
        floor(pow(draw(CASE WHEN draw(n, 8) < 0.9 THEN user_number ELSE n END, 2), 2.2) * 5)::BIGINT AS app_number,
        floor(pow(draw(n, 3), 2) * 4)::BIGINT AS model_number,
        draw(n, 4) AS luck, draw(n, 5) AS share,
        exp(6.6 + 0.7 * normal(n, 10)) AS duration, (150 + draw(n, 20) * 900)::BIGINT AS asked,
        (20 + draw(n, 21) * 400)::BIGINT AS said, n * 12 // $calls AS epoch
    FROM numbered
)
SELECT
    lpad(format('{:x}', moment // 1000), 12, '0') || '7' || right(lpad(format('{:x}', hash(n)), 16, '0'), 15)
        || right(lpad(format('{:x}', hash(n + 1)), 16, '0'), 4) AS trace_id,
    lpad(format('{:x}', hash(n * 3)), 16, '0') AS span_id,
    'default' AS project,
    'key_' || floor(pow(draw(n, 7), 2) * 8)::BIGINT AS key_id,
    CASE WHEN luck < 0.02 THEN 'otlp' ELSE 'chat' END AS wire,
    moment AS started_at,
    round(CASE WHEN luck > 0.97 THEN 30000 * draw(n, 22) ELSE duration END, 3) AS duration_ms,
    CASE WHEN luck < 0.97 AND draw(n, 23) < 0.8 THEN round(duration * (0.2 + 0.2 * draw(n, 24)), 3) END
        AS first_token_ms,
    CASE WHEN luck < 0.97 THEN 200 WHEN luck < 0.98 THEN 502 WHEN luck < 0.985 THEN 429 WHEN luck < 0.995 THEN 504
        ELSE 400 END AS status,
    CASE WHEN luck < 0.97 THEN NULL WHEN luck < 0.98 THEN 'upstream_error' WHEN luck < 0.985 THEN 'rate_limited'
        WHEN luck < 0.995 THEN 'upstream_timeout' ELSE 'invalid_request' END AS error_code,
    CASE WHEN luck < 0.97 THEN 'stop' END AS finish_reason,
    draw(n, 23) < 0.8 AS stream,
    CASE WHEN share < 0.95 THEN 'app-' || app_number END AS app,
    CASE WHEN share < 0.95 THEN 1 + epoch + (draw(n, 25) < 0.1)::BIGINT END AS "release",
    CASE WHEN share < 0.95 THEN 'app-' || app_number ELSE 'model-' || (app_number * 4 + model_number) END
        AS requested_model,
    'model-' || (app_number * 4 + model_number) AS model,
    ['openai', 'anthropic', 'vllm', 'bedrock'][1 + model_number] AS provider,
    'served-' || (app_number * 4 + model_number) AS served_model,
    1 AS attempts,
    'user-' || user_number AS "user",
    'session-' || (user_number * 7 + n % 7) AS session,
    MAP {'channel': ['web', 'mail', 'phone'][1 + (n % 3)], 'team': 'team-' || (n % 40),
        'country': ['de', 'fr', 'us', 'in'][1 + (hash(n) % 4)::INT]} AS tags,
    'Where is my order ' || n || ', and when does it come?' AS question,
    'Order ' || n || ' is on its way, and should be with you within ' || (n % 5) || ' days [1].' AS answer,
    draw(n, 26) < 0.2 AS handed_over,
    '[{"role":"user","content":"Where is my order ' || n || ', and when does it come?"}]' AS input,
    '{"role":"assistant","content":"Order ' || n || ' is on its way."}' AS output,
    '{}' AS params, '{}' AS inputs, '' AS rendered,
    CASE WHEN luck < 0.97 THEN asked END AS input_tokens,
    CASE WHEN luck < 0.97 THEN (asked * draw(n, 27) * 0.5)::BIGINT END AS cache_read_tokens,
    CASE WHEN luck < 0.97 THEN 0 END AS cache_write_tokens,
    CASE WHEN luck < 0.97 THEN said END AS output_tokens,
    CASE WHEN luck < 0.97 THEN 0 END AS reasoning_tokens,
    CASE WHEN draw(n, 28) > 0.03 THEN round((asked + 4 * said) * (1 + model_number) * 1e-6, 9) END AS cost_usd,
    CASE WHEN luck < 0.02 THEN 'traced' WHEN luck < 0.03 THEN 'shadow' ELSE 'live' END AS arm,
    CASE WHEN draw(n, 29) < 0.05 THEN 'exact' END AS "cache",
    CASE WHEN draw(n, 29) < 0.05 THEN 0.001 END AS saved_usd,
    n + 1 AS arrival,
    'where is my order ' || n AS search_text
FROM drawn
ORDER BY moment
"""

_SCORES = """
INSERT INTO scores (id, project, trace_id, name, kind, data_type, value, author, key_id, created_at)
SELECT format('{:x}', hash(arrival * 8 + which)), project, trace_id, ['thumbs', 'judge.quality'][1 + which],
    ['user', 'judge'][1 + which],
    ['boolean', 'number'][1 + which],
    CASE WHEN which = 0 THEN (draw(arrival, 40) < 0.8)::INT ELSE round(draw(arrival, 41), 2) END,
    coalesce("user", 'judge'), key_id, started_at + 20000000
FROM calls, range(2) made(which)
WHERE arrival > $from AND arrival <= $to AND draw(arrival, 42 + which) < 0.05
"""

# What live judging gives a twentieth of the calls, and people one in five hundred: whose, their hashes say.
LIVE_PERCENT, HUMAN_PERCENT = 5.0, 0.2
_SAMPLED = """
INSERT INTO scores (id, project, trace_id, name, kind, data_type, value, author, key_id, created_at)
SELECT format('{:x}', hash(arrival * 8 + $which)), project, trace_id, $name, $kind, 'number',
    round(draw(arrival, 44 + $which), 2), $kind, $key, started_at + 20000000
FROM calls
WHERE arrival > $from AND arrival <= $to AND arm = 'live' AND app IS NOT NULL AND left(sha256(trace_id), 8) < $below
"""
_JUDGED = {"which": 2, "name": "quality.accuracy", "kind": "judge", "key": "live", "below": sample_bound(LIVE_PERCENT)}
_REVIEWED = {**_JUDGED, "which": 3, "name": "human.accuracy", "kind": "human", "key": "reviews"}
_REVIEWED["below"] = sample_bound(HUMAN_PERCENT)


def build(folder: Path, calls: int, until: int) -> Path:
    """The store's file, made where it is not there yet. The last call is before `until`, microseconds."""
    path = folder / f"dashboards-{calls}.duckdb"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    store = DuckDBStore(partial, memory_limit="2GB")
    store.positions()  # the tables are made when the file is opened
    store.close()
    database = duckdb.connect(str(partial), config={"threads": 2, "memory_limit": "4GB"})
    database.execute(_DRAW)
    database.execute(_NORMAL)
    span = DAYS * DAY_US
    step = 500_000
    for start in range(0, calls, step):
        end = min(start + step, calls)
        about = {"first": until - span, "span": span, "calls": calls, "from": start, "to": end}
        database.execute(_CALLS, about)
        database.execute(_SCORES, {"from": start, "to": end})
        for sampled in (_JUDGED, _REVIEWED):
            database.execute(_SAMPLED, {**sampled, "from": start, "to": end})
        print(f"{end:,} calls", flush=True)
    database.execute("CHECKPOINT")
    database.close()
    partial.rename(path)
    return path
