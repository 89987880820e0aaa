"""Makes src/rondo/providers/prices.json anew: list prices of models, from two MIT-licensed collections.

    python scripts/update_prices.py [--genai-prices 0.2.3] [--litellm 1.109.1]

Run by developers, never by the product. Downloads the two wheels with pip (without their dependencies) into a
temporary folder. Where both know a model, genai-prices counts. Kept are prices per text token; what cannot be priced
from tokens alone (a fee per request or second) is left out, so its cost is "unknown" rather than wrong. Of prices in
tiers by the length of the prompt the base one is taken, of prices by the hour the dearest; both are marked.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "src" / "rondo" / "providers" / "prices.json"

# litellm's names of providers, where genai-prices has another.
RENAMED = {
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "xai": "x-ai",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "moonshot": "moonshotai",
    "voyage": "voyageai",
    "novita": "novita",
}
MODES = {"chat", "responses", "completion", "embedding"}
# A price beside the tokens': the tokens alone do not make the cost.
BESIDE = ("input_cost_per_request", "input_cost_per_second", "output_cost_per_second", "input_cost_per_character")

MIT = """
MIT License, of both sources, each with its copyright above. Permission is hereby granted, free of charge, to
any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in
the Software without restriction, including without limitation the rights to use, copy, modify, merge,
publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions: The above copyright notice and this
permission notice shall be included in all copies or substantial portions of the Software. THE SOFTWARE IS
PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF
CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER
DEALINGS IN THE SOFTWARE.
"""

Row = list[float | None]
Table = dict[str, dict[str, Row]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genai-prices", metavar="VERSION", help="the newest by default")
    parser.add_argument("--litellm", metavar="VERSION", help="the newest by default")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        genai, genai_version = download("genai-prices", wanted.genai_prices, Path(folder, "genai"))
        litellm, litellm_version = download("litellm", wanted.litellm, Path(folder, "litellm"))
        today = datetime.now(UTC).date()
        table = merged(from_genai(genai, today), from_litellm(litellm))
    TARGET.write_text(text_of(table, today, genai_version, litellm_version), encoding="utf-8")
    count = sum(len(models) for models in table.values())
    print(f"{count} models of {len(table)} providers, {TARGET.stat().st_size / 1000:.0f} KB")


def download(package: str, version: str | None, folder: Path) -> tuple[Path, str]:
    """The package's wheel unpacked in `folder`, and its version."""
    requirement = f"{package}=={version}" if version else package
    folder.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", requirement]
    subprocess.run([*command, "--dest", str(folder)], check=True)
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder, wheel.name.split("-")[1]


def from_genai(folder: Path, today: date) -> Table:
    sys.path.insert(0, str(folder))
    from genai_prices import data, types

    def base(value: Any) -> tuple[float | None, bool]:
        """A price, and whether there are more tiers of it."""
        if value is None:
            return None, False
        if isinstance(value, types.TieredPrices):
            return float(value.base), True
        return float(value), False

    def names(match: Any) -> list[str]:
        """The ids that a match lists one by one; patterns are guesses and left out."""
        if isinstance(match, types.ClauseEquals):
            return [match.equals]
        if isinstance(match, types.ClauseOr):
            return [name for clause in match.or_ for name in names(clause)]
        return []

    def standard(prices: Any) -> tuple[Any, bool]:
        """What counts today, at the dearest hour, and whether other hours cost less."""
        if not isinstance(prices, list):
            return prices, False
        begun = [
            each
            for each in prices
            if not isinstance(each.constraint, types.StartDateConstraint) or each.constraint.start_date <= today
        ]
        by_hour = [isinstance(each.constraint, types.TimeOfDateConstraint) for each in begun]
        now = begun[max((position for position, hours in enumerate(by_hour) if not hours), default=0) :]
        dearest = max(now, key=lambda each: base(getattr(each.prices, "input_mtok", None))[0] or 0)
        return dearest.prices, len(now) > 1

    table: Table = {}
    for provider in data.providers:
        models = table.setdefault(provider.id, {})
        for model in provider.models:
            prices, conditional = standard(model.prices)
            fields = [base(getattr(prices, name, None)) for name in _GENAI_FIELDS]
            (read, _), (output, _), *_ = fields
            if read is None or getattr(prices, "requests_kcount", None) is not None:
                continue
            row = made_row(read, output, fields[2][0], fields[3][0], conditional or any(tiers for _, tiers in fields))
            for name in [model.id, *names(model.match)]:
                models.setdefault(name, row)
    return table


_GENAI_FIELDS = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")


def from_litellm(folder: Path) -> Table:
    entries = json.loads((folder / "litellm" / "model_prices_and_context_window_backup.json").read_text("utf-8"))
    table: Table = {}
    for key, entry in entries.items():
        source, mode = entry.get("litellm_provider", ""), entry.get("mode")
        read, output = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
        if mode not in MODES or read is None or (output is None and mode != "embedding"):
            continue
        if any(entry.get(field) for field in BESIDE) or (not read and not output and not key.endswith(":free")):
            continue  # a price of 0 is a subscription or a gap in the list, not a gift
        name = key.removeprefix(f"{source}/")
        provider = RENAMED.get(source, "vertex" if source.startswith("vertex_ai") else source)
        tiers = any("_above_" in field and "token" in field.rsplit("_above_", 1)[1] for field in entry)
        row = made_row(
            read * 1e6,
            (output or 0) * 1e6,
            scaled(entry.get("cache_read_input_token_cost")),
            scaled(entry.get("cache_creation_input_token_cost")),
            tiers,
        )
        table.setdefault(provider, {}).setdefault(name.removeprefix("vertex_ai/"), row)
    return table


def scaled(per_token: float | None) -> float | None:
    return None if per_token is None else per_token * 1e6


def made_row(
    read: float, output: float | None, cache_read: float | None, cache_write: float | None, tiers: bool
) -> Row:
    """[input, output, cache read, cache write, 1 for tiers], without trailing nulls."""
    row: Row = [_rounded(each) for each in (read, output or 0, cache_read, cache_write)]
    if tiers:
        return [*row, 1]
    while row[-1] is None:
        row.pop()
    return row


def _rounded(price: float | None) -> float | None:
    if price is None:
        return None
    rounded = round(price, 6)
    return int(rounded) if rounded == int(rounded) else rounded


def merged(first: Table, second: Table) -> Table:
    table = {provider: dict(models) for provider, models in first.items()}
    for provider, models in second.items():
        mine = table.setdefault(provider, {})
        for name, row in models.items():
            mine.setdefault(name, row)
    return {provider: dict(sorted(table[provider].items())) for provider in sorted(table) if table[provider]}


def text_of(table: Table, today: date, genai_version: str, litellm_version: str) -> str:
    """The file: readable head, then one model per line, so that a change of price is one changed line."""
    digest = hashlib.sha256(json.dumps(table, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    head = {
        "version": f"{today.isoformat()}+{digest[:8]}",
        "unit": "US dollars per million tokens",
        "columns": ["input", "output", "cache_read", "cache_write", "tiered (1: the base tier, or the dearest hour)"],
        "sources": [
            {"name": "genai-prices", "version": genai_version, "copyright": "Pydantic Services Inc. 2025 to present"},
            {"name": "litellm", "version": litellm_version, "copyright": "2023 Berri AI"},
        ],
        "licence": " ".join(MIT.split()),
    }
    providers = ",\n".join(
        json.dumps(provider)
        + ": {\n"
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}" for name, row in models.items())
        + "}"
        for provider, models in table.items()
    )
    return json.dumps(head, indent=1)[:-2] + ',\n "providers": {\n' + providers + "}\n}\n"


if __name__ == "__main__":
    main()
