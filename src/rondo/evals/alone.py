"""Which scorers can score a call by itself: production's calls come without the right answer. Pure.

What needs a reference, a second answer, a whole dataset or the command line is refused when the settings are read, so
that nobody waits for scores that never come.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rondo.errors import SettingsError
from rondo.evals.model import Metric, Scored, Scorer
from rondo.evals.scorers import own
from rondo.evals.scorers.model import Options, Referring
from rondo.evals.scorers.refusals import RefusalOptions
from rondo.evals.scorers.registry import KINDS, checked, metrics_of
from rondo.settings.table import nearest
from rondo.settings.tables import ProjectSettings

FILE = "rondo.toml"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_OF_EXAMPLES = {
    "expect": "`expect`",
    "retrieval": "`sources`",
    "hand_over": "`hand_over`",
    "tool_calls": "`tool_calls`",
}
"""What these compare with, which only an example has."""

_MEASURED = ("latency", "first_token", "tokens", "cost")


def check(settings: ProjectSettings) -> None:
    """Raises SettingsError, which names the key, for a scorer of `[live]` that could score no call."""
    seen: set[str] = set()
    for at, each in enumerate(settings.live.scorers if settings.live is not None else ()):
        key = f"live.scorers[{at}]"
        options = checked(each, file=FILE, key=key)
        wrong = _refused(options)
        if wrong is not None:
            raise SettingsError(wrong, file=FILE, param=f"{key}.kind", remedy="`rondo scorers` tells what each needs.")
        for field in ("model", "embeddings"):
            model = getattr(options, field, None)
            if isinstance(model, str) and "/" not in model and model not in settings.models:
                hint = nearest(model, list(settings.models))
                raise SettingsError(f"no model is called {model!r:.80}.{hint}", file=FILE, param=f"{key}.{field}")
        name = options.name or (options.judge if isinstance(options, own.JudgeOptions) else options.kind)
        if isinstance(options, own.JudgeOptions):
            _check_judge(settings, options, key)
        if name in seen:
            raise SettingsError(
                f"two scorers are called {name!r:.80}.", file=FILE, param=f"{key}.name", remedy="Name one of them."
            )
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"{name!r:.80} cannot be the name of a score.",
                file=FILE,
                param=f"{key}.name",
                remedy="Use up to 64 letters, digits, `_`, `-` and `.`.",
            )
        seen.add(name)


def values_of(scorer: Scorer, scored: Scored) -> Iterator[tuple[str, float]]:
    """(metric, value) of each number that a scorer found, named as in suites."""
    if scored.value is None:
        return
    for metric in metrics_of(scorer):
        part = _part(metric)
        value = scored.details.get(part) if part else scored.value
        if isinstance(value, int | float):
            yield metric.name, float(value)


def _part(metric: Metric) -> str | None:
    """The entry of `details` that a metric is the mean of, "" where it is the value's own; None for no mean."""
    how, _, part = metric.adds_up.partition(":")
    return part if how == "mean" else None


def _refused(options: Options) -> str | None:
    kind = KINDS[options.kind]
    if kind.own:
        return f"`{kind.name}` runs on the command line, and scores no call by itself."
    if kind.name in _OF_EXAMPLES:
        return f"`{kind.name}` compares with {_OF_EXAMPLES[kind.name]} of an example, and a call has none."
    if kind.name in _MEASURED:
        return f"`{kind.name}` is measured of every call anyway; goals name it as it is."
    if any(_part(metric) is None for metric in kind.metrics(options.name or kind.name, options)):
        return f"`{kind.name}` says something of many answers together, and nothing of one call."
    return _unsaid(options)


def _unsaid(options: Options) -> str | None:
    """What an example would say, and here the scorer has to."""
    if isinstance(options, Referring) and options.value is None:
        return f"`{options.kind}` compares with the right answer, and a call has none; `value` can say it for all."
    if isinstance(options, RefusalOptions) and options.should is None:
        return "`refusal` must be told whether answers should refuse: set `should`."
    return None


def _check_judge(settings: ProjectSettings, options: own.JudgeOptions, key: str) -> None:
    judge = settings.judges.get(options.judge)
    if judge is None:
        hint = nearest(options.judge, list(settings.judges))
        raise SettingsError(f"no judge is called {options.judge!r:.80}.{hint}", file=FILE, param=f"{key}.judge")
    if judge.kind == "pairwise":
        raise SettingsError(
            f"the judge {options.judge!r:.80} compares two answers, and a call has one.",
            file=FILE,
            param=f"{key}.judge",
        )
