"""docs/routing.md names every fact and function there is, and its conditions can be read."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from rondo.rules.chain import vocabulary
from rondo.rules.functions import FUNCTIONS, Value
from rondo.rules.language import Path as FactPath
from rondo.rules.language import parse

PAGE = (Path(__file__).parents[2] / "docs" / "routing.md").read_text(encoding="utf-8")


def test_its_conditions_can_be_read() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    conditions = [rule["when"] for block in blocks for rule in tomllib.loads(block).get("rules", ())]
    assert len(conditions) >= 5
    for text in conditions:
        assert parse(text, vocabulary(["topic"])).text == text
    late = 1_763_754_300_000_000  # 20:45 in Berlin
    found = next(text for text in conditions if "matches" in text)
    values: dict[FactPath, Value] = {("input", "text"): "Order 4711?", ("time", "now"): late}
    assert parse(found, vocabulary([])).holds(lambda path: values.get(path))


def test_it_names_every_fact_and_function() -> None:
    known = vocabulary([])
    named = [name for name in known.facts if not name.startswith("input.pii.")]
    for name in [*named, "input.pii.KIND", "inputs.NAME", "tags.NAME", "class.NAME", "class.NAME.confidence"]:
        assert f"`{name}`" in PAGE, name
    for name in FUNCTIONS:
        assert f"`{name}(" in PAGE, name
    for kind in re.findall(r"`input\.pii\.([a-z_]+)`", PAGE):
        assert f"input.pii.{kind}" in known.facts
