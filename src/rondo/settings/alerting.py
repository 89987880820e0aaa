"""The table `[alerts]`: what is told to whom. Every goal of the app is an alert already."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from rondo.durations import parse_duration
from rondo.settings.environment import ENVIRONMENT
from rondo.settings.table import ADDRESS, DURATION, VARIABLE, Name, Table

NO_DATA = Literal["wait", "alert", "good"]
Kind = Literal[
    "goal", "errors", "latency", "cost", "budget", "drift", "drain_lag", "judge_drift", "burn_rate", "traffic"
]
MAILBOX = r"^[^\s<>@,;:\"]{1,64}@[A-Za-z0-9.-]{1,253}$"
Severity = Literal["info", "warning", "critical"]
SHARES = {"errors.rate": True, "handed_over.rate": True, "deflection": False, "feedback.positive_rate": False}
"""The metrics that are shares of what was counted, and whether more of one is worse."""

_WITH_A_WINDOW_OF_THEIR_OWN = ("budget", "drift", "drain_lag", "judge_drift", "burn_rate")


class ChannelSettings(Table):
    """Where alerts are sent."""

    kind: Literal["webhook", "slack", "email"] = Field(
        description="`webhook` is JSON with a signature, `slack` what Slack and those like it take, `email` SMTP."
    )
    url: str | None = Field(None, pattern=ADDRESS, description="The address, of `webhook` and `slack`.")
    url_env: str | None = Field(
        None, pattern=VARIABLE, description="The variable with the address, where that is a secret, as Slack's are."
    )
    secret_env: str | None = Field(None, pattern=VARIABLE, description="The variable with the key that signs.")
    to: list[Annotated[str, StringConstraints(pattern=MAILBOX)]] = Field(
        default_factory=list, max_length=50, description="The addresses of `email`."
    )

    @field_validator("url_env", "secret_env")
    @classmethod
    def no_key_of_something_else(cls, variable: str | None) -> str | None:
        """Whoever may release names variables of the server: those that are something else's are not for alerts."""
        if variable is not None and (variable in ENVIRONMENT or variable.startswith("RONDO_")):
            raise ValueError(f"{variable} has a meaning of its own; give the channel a variable that is only its")
        return variable

    @model_validator(mode="after")
    def goes_somewhere(self) -> ChannelSettings:
        if self.kind == "email" and not self.to:
            raise ValueError("`to` is required for `email`")
        if self.kind != "email" and (self.url is None) == (self.url_env is None):
            raise ValueError(f"set exactly one of `url` and `url_env` for `{self.kind}`")
        if self.kind == "email" and (self.url or self.url_env):
            raise ValueError("`email` has no address of its own: the mail server is in RONDO_SMTP_URL")
        if self.kind != "email" and self.to:
            raise ValueError("`to` is for `email`")
        if self.kind != "webhook" and self.secret_env is not None:
            raise ValueError("`secret_env` is for `webhook`")
        return self


class AlertRuleSettings(Table):
    """Something to watch beside the goals."""

    name: Name = Field(description="What the alert is called.")
    on: Kind = Field(description="What is watched.")
    metric: str | None = Field(
        None, description="The metric, of `goal` and `burn_rate`; it needs a goal, or a bound here."
    )
    above: float | None = Field(
        None, description="It fires above this; without a bound, where it is far from what is usual at this time."
    )
    below: float | None = Field(None, description="It fires below this.")
    window: str = Field("1h", pattern=DURATION, description="The calls of how long are looked at.")
    lasting: str = Field("5m", pattern=DURATION, description="How long it must be so before anyone is told.")
    severity: Severity = Field("warning", description="How bad it is.")
    channels: list[Name] = Field(default_factory=list, description="Who is told; all channels by default.")
    least_calls: int | None = Field(
        None, ge=1, description="With fewer calls in the window nothing is known; `alerts.least_calls` by default."
    )
    no_data: NO_DATA = Field(
        "wait",
        description="What no data means: `wait` changes nothing, `alert` is as bad as a missed bound, `good` resolves.",
    )

    @model_validator(mode="after")
    def says_what(self) -> AlertRuleSettings:
        if (self.metric is not None) != (self.on == "goal") and self.on != "burn_rate":
            needs = "needs `metric`" if self.on == "goal" else "takes no `metric`"
            raise ValueError(f"`{self.on}` {needs}")
        if self.above is not None and self.below is not None:
            raise ValueError("set at most one of `above` and `below`; two rules watch both sides")
        if self.below is not None and self.on not in ("goal", "burn_rate", "traffic"):
            raise ValueError(f"`{self.on}` takes no `below`: less of it is never worse")
        if self.on in ("drift", "judge_drift") and self.above is not None:
            raise ValueError(f"`{self.on}` takes no bound: its own report says what is too much")
        if self.on == "burn_rate" and self.metric is None and (self.above is not None or self.below is not None):
            raise ValueError("`burn_rate` with a bound needs `metric`")
        if self.on == "burn_rate" and self.metric is not None:
            self._leaves_room(self.metric)
        if self.on in _WITH_A_WINDOW_OF_THEIR_OWN and self.window != type(self).model_fields["window"].default:
            raise ValueError(f"`{self.on}` takes no `window`: it has its own")
        check_span("window", self.window, least_s=60)
        return self

    def _leaves_room(self, metric: str) -> None:
        if metric not in SHARES:
            raise ValueError(f"`burn_rate` takes a `metric` that is a share: {', '.join(SHARES)}")
        wrong, right = ("below", "above") if SHARES[metric] else ("above", "below")
        if getattr(self, wrong) is not None:
            raise ValueError(f"`burn_rate` of {metric} takes `{right}`, not `{wrong}`")
        bound = getattr(self, right)
        if bound is not None and not (0 < bound <= 1 if SHARES[metric] else 0 <= bound < 1):
            raise ValueError(f"`{right}` leaves no room for failure that could be used up: it is a share, such as 0.05")


class AlertsSettings(Table):
    """What is told to whom."""

    channels: dict[Name, ChannelSettings] = Field(default_factory=dict, description="Where alerts are sent.")
    rules: list[AlertRuleSettings] = Field(default_factory=list, description="What is watched beside the goals.")
    goals: bool = Field(True, description="Whether a goal that is missed is an alert.")
    window: str = Field("1h", pattern=DURATION, description="The calls of how long goals are measured on.")
    lasting: str = Field("10m", pattern=DURATION, description="How long a goal must be missed before anyone is told.")
    least_calls: int = Field(
        20, ge=1, description="With fewer calls in the window nothing is known: one of two that fails wakes nobody."
    )
    repeat: str = Field("12h", pattern=DURATION, description="An alert that goes on is told again after this.")
    keep: str = Field("90d", pattern=DURATION, description="An alert that is over is forgotten after this.")

    @model_validator(mode="after")
    def spans_make_sense(self) -> AlertsSettings:
        check_span("window", self.window, least_s=60)
        check_span("repeat", self.repeat, least_s=60)
        check_span("keep", self.keep, least_s=86_400)
        return self

    @model_validator(mode="after")
    def channels_exist(self) -> AlertsSettings:
        for at, rule in enumerate(self.rules):
            for name in rule.channels:
                if name not in self.channels:
                    raise ValueError(f"alerts.rules[{at}].channels: no channel is called {name!r}")
        names = [rule.name for rule in self.rules]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"alerts.rules: two are called {twice!r}; give each a name of its own")
        return self

    def check_goals(self, goals: Collection[str]) -> None:
        """Raises ValueError for a rule that takes its bound from a goal that is not there: it would watch nothing."""
        for at, rule in enumerate(self.rules):
            if rule.on not in ("goal", "burn_rate") or rule.above is not None or rule.below is not None:
                continue
            if rule.metric is None and not SHARES.keys() & set(goals):
                raise ValueError(
                    f"alerts.rules[{at}]: no goal is a share ({', '.join(SHARES)}), so nothing could burn; "
                    "set `metric` and a bound, or a goal"
                )
            if rule.metric is not None and rule.metric not in goals:
                raise ValueError(
                    f"alerts.rules[{at}].metric: {rule.metric!r} is no goal; set `above` or `below`, or a goal"
                )


def check_span(name: str, text: str, *, least_s: int) -> None:
    """Raises ValueError."""
    if parse_duration(text) < least_s:
        least = f"{least_s // 86_400}d" if least_s >= 86_400 else f"{least_s // 60}m"
        raise ValueError(f"`{name}` is at least {least}")
