"""All kinds of scorers, and a suite's `[[scorers]]` made ready to run.

A scorer never raises what concerns one case only: it says so, as a score with an error. Only a budget that is used up,
and a price that nobody knows, reach the run.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

from msgspec.structs import replace
from pydantic import ValidationError

from rondo.catalog.text import canonical_json
from rondo.errors import BudgetExceeded, PriceUnknown, RondoError, SettingsError
from rondo.evals.model import AskModel, Case, Metric, Scored, Scorer
from rondo.evals.scorers import (
    citations,
    classification,
    expect,
    harm,
    json_answers,
    leaks,
    matching,
    measures,
    number,
    overlap,
    own,
    rag,
    refusals,
    retrieval,
    similarity,
    tool_calls,
    translation,
)
from rondo.evals.scorers.model import Kind, MakeJudges, NoReference, NotApplicable, Options, Say, Tools, Unscorable
from rondo.settings.evaluating import ScorerSettings
from rondo.settings.table import IN_WORDS, nearest

_FILES = (
    expect, matching, number, json_answers, overlap, translation, classification, retrieval, rag, citations,
    similarity, tool_calls, refusals, leaks, harm, measures, own,
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.name: kind for file in _FILES for kind in file.KINDS}

Settings = ScorerSettings | Mapping[str, Any]


def build(
    settings: Sequence[Settings],
    *,
    ask: AskModel | None = None,
    judges: Mapping[str, MakeJudges] | None = None,
    file: str = "suite",
) -> list[Scorer]:
    """A suite's scorers, ready to run, in order; those that the command line runs (`own_settings`) are left out.

    `ask` asks models; without it, scorers that need one give errors. `judges` make the scorers of the judge of that
    name. `file` is the suite's, for errors. Raises SettingsError, which names file and key.
    """
    read_all = [(checked(each, file=file, key=f"scorers[{at}]"), at) for at, each in enumerate(settings)]
    built: list[Scorer] = []
    for options, at in read_all:
        if not KINDS[options.kind].own:
            built += _build(options, ask, judges or {}, file=file, key=f"scorers[{at}]")
    made: list[Scorer | Settings] = [*built, *own_settings(settings, file=file)]
    _names_are_apart([metric.name for scorer in made for metric in metrics_of(scorer)], file)
    return built


def own_settings(settings: Sequence[Settings], *, file: str = "suite") -> list[ScorerSettings]:
    """The scorers of a suite that the command line runs. Raises SettingsError."""
    found = []
    for at, each in enumerate(settings):
        if KINDS[checked(each, file=file, key=f"scorers[{at}]").kind].own:
            found.append(each if isinstance(each, ScorerSettings) else ScorerSettings.model_validate(dict(each)))
    return found


def metrics_of(scorer: Scorer | Settings) -> list[Metric]:
    """The metrics that a scorer makes. For a judge they are known of the Scorer only: of its settings, none."""
    if isinstance(scorer, Scorer):
        if scorer.metrics:
            return list(scorer.metrics)
        direct = Metric(
            name=scorer.name, unit=scorer.unit, higher_is_better=scorer.higher_is_better, adds_up=scorer.adds_up
        )
        return [direct]
    options = checked(scorer, file="suite", key="scorers")
    return list(KINDS[options.kind].metrics(options.name or options.kind, options))


def checked(settings: Settings, *, file: str, key: str) -> Options:
    """The options of one scorer. Raises SettingsError for an unknown kind or option, and for a wrong value."""
    values = settings.model_dump(exclude_none=True) if isinstance(settings, ScorerSettings) else dict(settings)
    name = values.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        said = "a scorer needs a `kind`." if name is None else f"there is no scorer {name!r:.60}."
        raise SettingsError(f"{said}{nearest(str(name), list(KINDS))}", file=file, param=f"{key}.kind")
    try:
        return kind.options.model_validate(values)
    except ValidationError as error:
        raise _explain(error, kind, file=file, key=key) from None


def _build(
    options: Options, ask: AskModel | None, judges: Mapping[str, MakeJudges], *, file: str, key: str
) -> list[Scorer]:
    if isinstance(options, own.JudgeOptions):
        if options.judge not in judges:
            hint = nearest(options.judge, list(judges))
            raise SettingsError(f"no judge is called {options.judge!r}.{hint}", file=file, param=f"{key}.judge")
        scorers = judges[options.judge](options.name or options.judge)
        return [replace(each, score=partial(_drawn, each.score, options)) for each in scorers]
    kind = KINDS[options.kind]

    def make(settings: Mapping[str, Any], inner: str) -> Scorer:
        where = f"{key}.{inner}"
        chosen = checked(settings, file=file, key=where)
        if KINDS[chosen.kind].own:
            raise SettingsError("it runs on the command line, and not inside of another.", file=file, param=where)
        return _build(chosen, ask, judges, file=file, key=where)[-1]

    say = kind.make(options, Tools(ask=ask, make=make))
    name = options.name or options.kind
    metrics = kind.metrics(name, options)
    if options.negate and [metric.adds_up for metric in metrics] != ["mean"]:
        raise SettingsError(f"`{kind.name}` cannot be negated.", file=file, param=f"{key}.negate")
    return [
        Scorer(
            name=name,
            kind=kind.name,
            version=version_of(options),
            score=partial(_score, say, options),
            unit=metrics[0].unit,
            higher_is_better=metrics[0].higher_is_better,
            adds_up=metrics[0].adds_up,
            metrics=metrics,
        )
    ]


def version_of(options: Options) -> str:
    """SHA-256 of all that decides a score: kind, revision, options, prompts, the library's version. Not its name."""
    kind = KINDS[options.kind]
    values = options.model_dump(mode="json", exclude={"name"})
    decides = {"kind": kind.name, "revision": kind.revision, "options": values, "decides": kind.decides(options)}
    return sha256(canonical_json(decides).encode("utf-8", "surrogatepass")).hexdigest()


async def _score(say: Say, options: Options, case: Case) -> Scored:
    """What a scorer says of a case. Raises BudgetExceeded and PriceUnknown."""
    try:
        said = say(case)
        return lined(await said if inspect.isawaitable(said) else said, options)
    except NotApplicable as why:
        return Scored(reason=str(why))
    except Unscorable as why:
        skipped = isinstance(why, NoReference) and getattr(options, "no_reference", "error") == "skip"
        return Scored(error=None if skipped else why.code, reason=str(why), cost_usd=why.cost_usd)
    except (BudgetExceeded, PriceUnknown):
        raise
    except RondoError as error:
        return Scored(error=error.code, reason=str(error))
    except Exception as error:  # a scorer that throws costs its own score, never the run
        return Scored(error="scorer_failed", reason=f"{type(error).__name__}: {error}"[:500])


async def _drawn(score: Callable[[Case], Any], options: Options, case: Case) -> Scored:
    """A judge's score, with the line that the suite draws."""
    return lined(await score(case), options)


def lined(scored: Scored, options: Options) -> Scored:
    """The score, checked to be a number, turned round where asked for, and passed or failed by the bounds."""
    value, passed = scored.value, scored.passed
    if value is None:
        return scored
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return Scored(error="not_a_number", reason=f"The scorer gave {value!r:.60}.", cost_usd=scored.cost_usd)
    if options.negate:
        if not 0 <= value <= 1:
            return Scored(
                error="wrong_type", reason=f"Only a share can be negated, not {value:g}.", cost_usd=scored.cost_usd
            )
        value, passed = 1 - value, None if passed is None else not passed
    if options.at_least is not None or options.at_most is not None:
        low = -math.inf if options.at_least is None else options.at_least
        high = math.inf if options.at_most is None else options.at_most
        passed = low <= value <= high
    if passed is False and not scored.reason:
        scored = replace(scored, reason=f"It is {value:.4g}.")
    return replace(scored, value=float(value), passed=passed)


def _names_are_apart(names: Sequence[str], file: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise SettingsError(
                f"two scorers make the metric {name!r}.", file=file, param="scorers", remedy="Give one another `name`."
            )
        seen.add(name)


def _explain(error: ValidationError, kind: Kind, *, file: str, key: str) -> SettingsError:
    # A misspelt option is also a missing one: the misspelling tells more.
    found = error.errors(include_url=False)
    first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    path = [str(part) for part in first["loc"]]
    where = ".".join([key, *path])
    if first["type"] == "extra_forbidden":
        hint = nearest(path[-1], list(kind.options.model_fields))
        return SettingsError(f"`{kind.name}` has no such option.{hint}", file=file, param=where)
    if first["type"] == "missing":
        option = kind.options.model_fields.get(path[-1])
        remedy = None if option is None else option.description
        return SettingsError(f"`{kind.name}` needs this option.", file=file, param=where, remedy=remedy)
    if first["type"] == "value_error":
        return SettingsError(str(first["ctx"]["error"]).rstrip(".") + ".", file=file, param=where)
    message = IN_WORDS.get(first.get("ctx", {}).get("pattern", ""), first["msg"])
    return SettingsError(f"{message}, not {first['input']!r:.200}.", file=file, param=where)
