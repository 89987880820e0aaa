"""The steps of a rollout, as `rondo.toml` writes them: a line each. Pure.

    shadow 10m              copies of requests for ten minutes; nobody sees their answers
    shadow 500 calls        the same until there are so many copies
    5% 30m                  five percent of the callers, for half an hour
    25% 1h 400 calls        both: at least that long, and at least so many calls of the candidate
    25% until evidence      as long as it takes every guarded goal to be known: no worse than the margin allows
    approve                 a person says that it may go on
    at 2026-12-01T09:00Z    it does not go on before this moment
    100%                    the candidate becomes the stable release

A shadow copies a tenth of the requests unless a percentage says otherwise: `shadow 50% 10m`.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from rondo import clock
from rondo.durations import parse_duration

StepKind = Literal["shadow", "split", "approve", "at", "promote"]

_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)\s*%")
_DURATION = re.compile(r"\d{1,6}\s*[smhd](?![a-z])")
_CALLS = re.compile(r"(\d{1,9})\s*(?:calls?|samples?)")
_SHADOW_BP = 1_000
_EXAMPLES = "Steps are like: shadow 10m, 5% 30m, 25% 1h 400 calls, 25% until evidence, approve, 100%."


class Step(Struct, frozen=True, kw_only=True):
    """One step. `share_bp` is in hundredths of a percent; `hold_s`, `calls` and `until_evidence` must all be over
    before it ends. `moment` is in microseconds, of the kind `at` only."""

    kind: StepKind
    share_bp: int = 0
    hold_s: float = 0.0
    calls: int = 0
    until_evidence: bool = False
    moment: int | None = None


def parse_step(text: str) -> Step:
    """Raises ValueError, which says what is wrong and what steps look like."""
    words = text.strip().lower()
    if words == "approve":
        return Step(kind="approve")
    if words.startswith("at "):
        return Step(kind="at", moment=parse_moment(text.strip()[3:].strip()))
    kind: StepKind = "split"
    rest = words
    if words.split(" ", 1)[0] == "shadow":
        kind, rest = "shadow", words[len("shadow") :]
    share, rest = _take(_PERCENT, rest)
    hold, rest = _take(_DURATION, rest)
    calls, rest = _take(_CALLS, rest)
    until = "until evidence" in rest
    rest = rest.replace("until evidence", "", 1)
    if rest.replace("for", "", 1).strip() or (kind == "split" and share is None):
        raise ValueError(f"{text!r:.80} is no step. {_EXAMPLES}")
    share_bp = _SHADOW_BP if share is None else round(float(share[1]) * 100)
    if not 0 < share_bp <= 10_000:
        raise ValueError(f"{text!r:.80}: a share is above 0 % and at most 100 %.")
    hold_s = 0.0 if hold is None else parse_duration(hold[0])
    step = Step(
        kind="promote" if kind == "split" and share_bp == 10_000 else kind,
        share_bp=share_bp,
        hold_s=hold_s,
        calls=0 if calls is None else int(calls[1]),
        until_evidence=until,
    )
    if step.kind == "promote" and (hold_s or step.calls or until):
        raise ValueError(f"{text!r:.80}: 100% ends the rollout, so it holds for no time.")
    if step.kind == "shadow" and until:
        raise ValueError(f"{text!r:.80}: nobody judges a shadow; give it a time or a number of calls.")
    if step.kind in ("shadow", "split") and not (hold_s or step.calls or until):
        raise ValueError(f"{text!r:.80} says not how long. {_EXAMPLES}")
    return step


def parse_moment(text: str) -> int:
    """Microseconds of an ISO 8601 time. Raises ValueError."""
    try:
        moment = clock.parse_iso(text.upper())
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r:.80} is no time; 2026-12-01T09:00Z is one.") from None
    if moment < 0:
        raise ValueError(f"{text!r:.80} lies before 1970.")
    return moment


def in_words(step: Step) -> str:
    """`25 % for 1 h and 400 calls`."""
    if step.kind == "approve":
        return "approval"
    if step.kind == "at":
        return f"not before {clock.iso(step.moment or 0)[:16]}Z"
    share = f"{step.share_bp / 100:.2f}".rstrip("0").rstrip(".") + " %"
    if step.kind == "promote":
        return share
    least = [span(step.hold_s)] if step.hold_s else []
    least += [f"{step.calls:,} calls"] if step.calls else []
    lasts = [f"for {' and '.join(least)}"] if least else []
    lasts += ["until evidence"] if step.until_evidence else []
    return f"{'shadow ' if step.kind == 'shadow' else ''}{share} {' and '.join(lasts)}"


def span(seconds: float) -> str:
    """`45 s`, `30 min`, `1 h 5 min`, `2 d`."""
    left = round(seconds)
    if left < 60:
        return f"{left} s"
    parts = [(left // 86_400, "d"), (left % 86_400 // 3_600, "h"), (left % 3_600 // 60, "min")]
    told = [f"{count} {unit}" for count, unit in parts if count][:2]
    return " ".join(told)


def _take(pattern: re.Pattern[str], text: str) -> tuple[re.Match[str] | None, str]:
    found = pattern.search(text)
    return found, text if found is None else text[: found.start()] + text[found.end() :]
