"""The terms that an app holds its releases to: as declared, as the catalog keeps them, and what changed in them. Pure.

They are kept with the app (what holds now) and with each release (what held when it was made): so whoever lets a
release through sees that a goal was lowered on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs

from rondo.evals.goals import Goal
from rondo.evals.statistics.standing import margin_of
from rondo.releases.gate_model import Candidate, Check, GateTerms, Terms
from rondo.settings.tables import ProjectSettings


class SuiteFile(Struct, frozen=True, kw_only=True):
    """A suite as the project has it: its settings, and the hash of its examples where they are a file."""

    settings: dict[str, Any]
    dataset_hash: str | None


_WEAKER = ": weaker"


def declared(settings: ProjectSettings, suites: Mapping[str, SuiteFile]) -> Terms:
    """The terms of a project, with the suites of its gate by their name."""
    gate = settings.gate
    return Terms(
        goals=_goals([goal.model_dump(mode="json") for goal in settings.goals]),
        gate=None
        if gate is None
        else GateTerms(
            suites={name: suites[name].settings for name in gate.suites},
            dataset_hashes={name: found for name in gate.suites if (found := suites[name].dataset_hash) is not None},
            most_errors=gate.most_errors,
            slices=gate.slices,
            least_slice=gate.least_slice,
        ),
    )


def kept(terms: Terms) -> dict[str, Any]:
    """As JSON, for the catalog."""
    values: dict[str, Any] = msgspec.to_builtins(terms)
    return values


def beside_goals(terms: Terms) -> dict[str, Any]:
    """The part of an app's settings that says what its gate is; empty where it declares none."""
    return {"gate": kept(terms)["gate"]} if terms.gate is not None else {}


def of_release(values: Mapping[str, Any], manifest: Mapping[str, Any]) -> Terms | None:
    """The terms that a release was made under; None for one that was made before they were kept."""
    return with_marks(msgspec.convert(values, Terms), manifest) if values else None


def of_app(settings: Mapping[str, Any]) -> Terms:
    """The terms that hold now, from an app's settings; without the marks, which each release has in its manifest."""
    return msgspec.convert({"goals": settings.get("goals") or [], "gate": settings.get("gate")}, Terms)


def with_marks(terms: Terms, manifest: Mapping[str, Any]) -> Terms:
    """The terms, with the marks of the judges in this manifest."""
    marks = {name: judge.get("mark") for name, judge in sorted(manifest.get("judges", {}).items())}
    return structs.replace(terms, marks=marks)


def changes(before: Terms, after: Terms) -> list[str]:
    """What differs, a sentence each; whether that makes the gate weaker where one can tell."""
    return [*_goal_changes(before, after), *_gate_changes(before.gate, after.gate), *_mark_changes(before, after)]


def weaker(candidate: Candidate, terms: Terms) -> Iterator[Check]:
    """What makes the gate weaker than it was for what serves now: a person has to say that this is meant.

    What cannot be told to be weaker (other scorers, other examples) is among `changes`, and keeps nothing shut.
    """
    before = candidate.stable_terms
    if before is None or candidate.is_stable or candidate.stable is None:
        return
    for change in changes(before, terms):
        if change.endswith(_WEAKER):
            yield Check(
                kind="terms",
                name="terms",
                verdict="inconclusive",
                sentence=f"{change} than {candidate.stable.label(candidate.app)} was held to.",
                remedy="Put it back, or give traffic by an exception: its approver approves of this too.",
            )


def _forgives_more(before: Goal, now: Goal) -> bool:
    """Of a change for the worse, or of an interval that reaches beyond the bound."""
    beyond = margin_of(now.limit, now.margin) > margin_of(before.limit, before.margin)
    return beyond or (now.margin or 0.0) > (before.margin or 0.0)


def _goals(values: list[dict[str, Any]]) -> list[Goal]:
    return msgspec.convert(values, list[Goal])


def _goal_changes(before: Terms, after: Terms) -> Iterator[str]:
    old = {(goal.metric, goal.at_least is not None): goal for goal in before.goals}
    new = {(goal.metric, goal.at_least is not None): goal for goal in after.goals}
    for key, goal in old.items():
        now = new.get(key)
        if now is None:
            yield f"goal {goal.metric} ({goal.bound}) is gone: weaker"
            continue
        if now.bound != goal.bound:
            rises = now.limit > goal.limit
            yield f"goal {goal.metric}: {goal.bound} → {now.bound}: {_way(rises == (goal.at_least is not None))}"
        if now.margin != goal.margin:
            way = _way(not _forgives_more(goal, now))
            yield f"goal {goal.metric}: margin {_or_default(goal.margin)} → {_or_default(now.margin)}: {way}"
        if now.guarded != goal.guarded:
            yield f"goal {goal.metric}: {'guarded' if now.guarded else 'no longer guarded'}: {_way(now.guarded)}"
    for key, goal in new.items():
        if key not in old:
            yield f"goal {goal.metric} ({goal.bound}) is new: stricter"


def _gate_changes(before: GateTerms | None, after: GateTerms | None) -> Iterator[str]:
    if before is None or after is None:
        if before is not after:
            yield "a gate is declared: stricter" if before is None else "no gate is declared any more: weaker"
        return
    for name in before.suites:
        if name not in after.suites:
            yield f"suite {name} is no longer needed: weaker"
        elif before.suites[name] != after.suites[name]:
            parts = [key for key in {**before.suites[name], **after.suites[name]}
                     if before.suites[name].get(key) != after.suites[name].get(key)]  # fmt: skip
            yield f"suite {name} has changed: {', '.join(parts)}"
        elif before.dataset_hashes.get(name) != after.dataset_hashes.get(name):
            yield f"suite {name} has other examples"
    for name in after.suites:
        if name not in before.suites:
            yield f"suite {name} is needed: stricter"
    if before.most_errors != after.most_errors:
        way = _way(after.most_errors < before.most_errors)
        yield f"gate.most_errors: {before.most_errors:g} → {after.most_errors:g}: {way}"
    yield from _slice_changes(before, after)


def _slice_changes(before: GateTerms, after: GateTerms) -> Iterator[str]:
    if before.least_slice != after.least_slice:
        way = _way(after.least_slice < before.least_slice)
        yield f"gate.least_slice: {before.least_slice} → {after.least_slice}: {way}"
    for tag in before.slices:
        if tag not in after.slices:
            yield f"slices by {tag} are no longer guarded: weaker"
    for tag in after.slices:
        if tag not in before.slices:
            yield f"slices by {tag} are guarded: stricter"


def _mark_changes(before: Terms, after: Terms) -> Iterator[str]:
    for name, mark in before.marks.items():
        now = after.marks.get(name)
        if name in after.marks and now != mark:
            way = _way((now if now is not None else -2.0) > (mark if mark is not None else -2.0))
            yield f"judge {name}: mark {_or_default(mark)} → {_or_default(now)}: {way}"


def _way(is_stricter: bool) -> str:
    return "stricter" if is_stricter else _WEAKER.removeprefix(": ")


def _or_default(value: float | None) -> str:
    return "by default" if value is None else f"{value:g}"
