"""What a check's result means, in a sentence, and what to do next. Pure."""

from __future__ import annotations

from rondo.monitoring.drift.model import Check

_STEPS = {
    "questions": "Look at the newest questions below; where they belong to the app, add them to a dataset and evaluate"
    " the release on them.",
    "topics": "Check whether the knowledge has the new or grown topics, and turn their examples into tests.",
    "language": "Evaluate the release on questions in the grown language, or route it to a model that is good at it.",
    "length": "Look at the longest and shortest questions; check limits of tokens and what a call costs now.",
    "personal_data": "Look at where it comes from; the guard `pii` takes it out before models and records see it.",
    "hits": "Search the knowledge for the examples' questions; documents may be missing, or outdated.",
    "unanswered": "Look at what is handed over: add what the knowledge lacks, or change the hand-over's rule.",
    "answers": "Compare answers before and now; a model, a prompt or `max_tokens` may have changed.",
    "refusals": "Look at what is refused; a guard or a provider's policy may have become stricter.",
}
_OF_A_SCORE = "Look at the calls with the lowest scores, and turn them into tests; `rondo patterns` groups them."


def sentence(check: Check) -> str:
    """What was found."""
    if check.corrected is None or check.effect is None:
        return check.sentence
    changed = "has changed" if check.verdict == "drifted" else "is as before"
    sure = f"p {_p(check.corrected)}, {check.effect_name} {check.effect:.3g}"
    return f"{check.title}: {_fact(check) or changed} ({sure})."


def next_step(check: Check) -> str:
    """What to do; empty where nothing has changed."""
    if check.verdict != "drifted":
        return ""
    return _STEPS.get(check.name, _OF_A_SCORE)


def too_few(check: Check) -> str:
    """Why a check says nothing."""
    before, now = check.units
    if before == now == 0:
        return f"{check.title}: not known of these calls."
    return f"{check.title}: too few to tell ({before:,} before, {now:,} now)."


def _fact(check: Check) -> str:
    facts, moved = check.facts, check.verdict == "drifted"
    if "low" in facts:
        told = f"{facts['now']:.1%} of users' calls, {facts['before']:.1%} before"
        return f"{told} (difference {facts['low']:+.1%} to {facts['high']:+.1%})"
    if "now" in facts:
        kind = "mean" if check.name.startswith("score:") else "median"
        now, before = f"{facts['now']:.3g}", f"{facts['before']:.3g}"
        if moved and now == before:
            return f"spread differently now, around the same {kind} of {now}"
        return f"{'now' if moved else 'still about'} a {kind} of {now}, {before} before"
    if check.bars and moved and check.name != "questions":
        most = max(check.bars, key=lambda bar: abs(bar.now - bar.before))
        return f"{most.name} is {most.now:.1%} now, {most.before:.1%} before"
    return ""


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"
