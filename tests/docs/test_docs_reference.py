"""The reference of the API is what the code says now, and the navigation names every page there is."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import yaml

from rondo.api.app import DOORS

ROOT = Path(__file__).parents[2]


def test_the_page_of_the_api_is_current() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "docs_api.py"))
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    assert page == script["page"](), "run `python scripts/docs_api.py`"


def test_every_route_is_in_it() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    for door in DOORS:
        assert f"\n### {door.method} {door.path}\n" in page


def test_a_handler_without_a_sentence_is_refused() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "docs_api.py"))

    async def handler(asked: object) -> dict[str, object]:
        return {"told": asked}

    with pytest.raises(SystemExit, match="docstring"):
        script["sentence"](DOORS[0]._replace(handler=handler))
    assert script["answer"](handler) == '`{"told"}`'


def test_the_navigation_names_every_page() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    listed = {page for entry in nav for value in entry.values() for page in _pages(value)}
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert listed == there


def _pages(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    assert isinstance(value, list)
    return [page for entry in value for inner in entry.values() for page in _pages(inner)]
