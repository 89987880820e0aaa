"""What a Claude model takes, by its name: thinking, sampling, system messages in mid-conversation. Pure.

Anthropic's models differ in what they refuse, and say so with an error that no client of another dialect expects. A
name that is no Claude's (other servers speak Anthropic's wire too) counts as one of the older, more lenient ones.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

_NAME = re.compile(r"claude-([a-z]+)-(\d{1,2})(?:[-.](\d{1,2}))?(?![\d])", re.ASCII)
_OLD_NAME = re.compile(r"claude-(\d)(?:[-.](\d))?(?![\d])", re.ASCII)

_EFFORT = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_BUDGET = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
EFFORTS = ("none", *_EFFORT)
LEAST_BUDGET = 1024


class Claude(Struct, frozen=True):
    """A family (`opus`, `sonnet`, ...) and a version."""

    family: str
    version: tuple[int, int]

    @property
    def samples(self) -> bool:
        """Whether it takes `temperature`, `top_p` and `top_k`: since 4.7 no model does."""
        return self.version < (4, 7)

    @property
    def adapts(self) -> bool:
        """Whether it decides by itself how long to think, guided by an effort; older ones need a number of tokens."""
        return self.version >= (4, 6)

    @property
    def hears_system_later(self) -> bool:
        """Whether a system message may come in mid-conversation."""
        return self.version >= (4, 8)

    @property
    def longest(self) -> int:
        """The limit of an answer where a request sets none: no model of its generation refuses it."""
        return 32_000 if self.version >= (4, 0) else 4096

    def thinking(self, effort: str, longest: int) -> dict[str, Any]:
        """OpenAI's `reasoning_effort` as fields of a request; `longest` limits the answer with its thoughts."""
        if not self.adapts:
            budget = min(_BUDGET.get(effort, 0), longest - LEAST_BUDGET)
            return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= LEAST_BUDGET else {}
        if effort == "none":
            return self._hardly_thinking()
        level = _EFFORT[effort]
        if level == "xhigh" and self.version < (4, 7):
            level = "high"
        return {"thinking": {"type": "adaptive"}, "output_config": {"effort": level}}

    def _hardly_thinking(self) -> dict[str, Any]:
        """As little as the model can: some think always."""
        if self.family in ("fable", "mythos") or (self.family == "opus" and self.version >= (5, 5)):
            return {"output_config": {"effort": "low"}}
        if self.family == "sonnet" and self.version >= (5, 5):
            return {"thinking": {"type": "between_tools"}, "output_config": {"effort": "low"}}
        return {"thinking": {"type": "disabled"}}


OTHER = Claude("", (0, 0))


def claude(model: str) -> Claude:
    """By a model's id, in whatever form the place has it (`claude-haiku-4-5-20251001`, `claude-opus-5@latest`)."""
    name = model.lower()
    if found := _NAME.search(name):
        return Claude(found[1], (int(found[2]), int(found[3] or 0)))
    if old := _OLD_NAME.search(name):
        return Claude("", (int(old[1]), int(old[2] or 0)))
    return Claude("mythos", (4, 7)) if "claude-mythos-preview" in name else OTHER
