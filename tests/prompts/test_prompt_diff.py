"""What changed between two versions, part by part."""

from __future__ import annotations

from rondo.prompts.diff import diff, unified
from rondo.prompts.source import parse_prompt

OLD = parse_prompt(
    "---\nvariables: {plan: {default: a}}\n---\n# system\nBe kind.\nBe brief.\n# user\n{{ plan }}", file="a.md"
)
NEW = parse_prompt(
    "---\nvariables: {plan: {default: b}}\nexamples: [{user: u, assistant: v}]\n---\n# user\n{{ plan }}", file="a.md"
)


def test_parts() -> None:
    found = {part.part: part for part in diff(OLD, NEW)}
    assert {name: part.change for name, part in found.items()} == {
        "variables": "changed",
        "examples": "added",
        "system": "removed",
    }
    assert '-    "default": "a",' in found["variables"].text
    assert '+    "default": "b",' in found["variables"].text
    assert found["system"].text.splitlines()[1:] == ["-Be kind.", "-Be brief."]


def test_the_same_version_has_no_diff() -> None:
    assert diff(OLD, OLD) == []
    assert unified(OLD, OLD) == ""


def test_unified() -> None:
    text = unified(OLD, NEW)
    assert text.startswith(f"--- a {OLD.version[:12]}\n+++ a {NEW.version[:12]}\n@@")
    assert "-Be kind." in text
