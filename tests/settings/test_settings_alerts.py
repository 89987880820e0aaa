"""`[alerts]`: what it takes, and how what is wrong is told."""

from __future__ import annotations

import pytest

from rondo.errors import SettingsError
from rondo.settings.project import parse

PLAIN = """
[app]
name = "bot"
prompt = "p.md"
route = ["m"]
[models.m]
provider = "extractive"
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[alerts.channels.a]\nkind = "slack"', "url_env"),
        ('[alerts.channels.a]\nkind = "slack"\nurl = "https://x"\nurl_env = "X"', "exactly one"),
        ('[alerts.channels.a]\nkind = "email"', "`to` is required"),
        ('[alerts.channels.a]\nkind = "email"\nto = ["a@b.c, d@e.f"]', "to"),
        ('[alerts.channels.a]\nkind = "email"\nto = ["a@b.c"]\nurl = "https://x"', "RONDO_SMTP_URL"),
        ('[alerts.channels.a]\nkind = "webhook"\nurl = "https://x"\nto = ["a@b.c"]', "for `email`"),
        ('[alerts.channels.a]\nkind = "slack"\nurl = "https://x"\nsecret_env = "S"', "for `webhook`"),
        ('[alerts.channels.a]\nkind = "webhook"\nurl_env = "OPENAI_API_KEY"', "a meaning of its own"),
        ('[alerts.channels.a]\nkind = "webhook"\nurl = "https://x"\nsecret_env = "RONDO_ADMIN_KEY"', "of its own"),
        ('[[alerts.rules]]\nname = "r"\non = "goal"', "needs `metric`"),
        ('[[alerts.rules]]\nname = "r"\non = "errors"\nmetric = "x"', "takes no `metric`"),
        ('[[alerts.rules]]\nname = "r"\non = "errors"\nbelow = 0.1', "takes no `below`"),
        ('[[alerts.rules]]\nname = "r"\non = "traffic"\nbelow = 0.1\nabove = 2.0', "at most one"),
        ('[[alerts.rules]]\nname = "r"\non = "drift"\nabove = 2.0', "takes no bound"),
        ('[[alerts.rules]]\nname = "r"\non = "burn_rate"\nabove = 2.0', "needs `metric`"),
        ('[[alerts.rules]]\nname = "r"\non = "budget"\nwindow = "2h"', "takes no `window`"),
        ('[[alerts.rules]]\nname = "r"\non = "errors"\nchannels = ["nobody"]', "nobody"),
        ('[[alerts.rules]]\nname = "r"\non = "errors"\n[[alerts.rules]]\nname = "r"\non = "cost"', "two are called"),
        ('[alerts]\nwindow = "soon"', "window"),
        ('[alerts]\nwindow = "0s"', "`window` is at least 1m"),
        ('[alerts]\nrepeat = "5s"', "`repeat` is at least 1m"),
        ('[alerts]\nkeep = "1h"', "`keep` is at least 1d"),
        ('[[alerts.rules]]\nname = "r"\non = "errors"\nwindow = "0s"', "`window` is at least 1m"),
        ('[[alerts.rules]]\nname = "r"\non = "burn_rate"\nmetric = "latency.p95_ms"\nabove = 0.5', "is a share"),
        ('[[alerts.rules]]\nname = "r"\non = "burn_rate"\nmetric = "errors.rate"\nbelow = 0.5', "takes `above`"),
        ('[[alerts.rules]]\nname = "r"\non = "burn_rate"\nmetric = "deflection"\nbelow = 1.0', "no room"),
        ('[[alerts.rules]]\nname = "r"\non = "burn_rate"\nmetric = "errors.rate"\nabove = 0.0', "no room"),
        ('[[alerts.rules]]\nname = "r"\non = "goal"\nmetric = "errors.rate"', "is no goal"),
        ('[[alerts.rules]]\nname = "r"\non = "burn_rate"', "no goal is a share"),
        (
            '[[goals]]\nmetric = "cost.per_request_usd"\nat_most = 1\n[[alerts.rules]]\nname = "r"\non = "burn_rate"',
            "no goal",
        ),
    ],
)
def test_what_is_wrong_is_told(text: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(f"{PLAIN}\n{text}\n")
    assert words in str(refused.value)


def test_a_rule_takes_the_bound_of_its_goal() -> None:
    goal = '[[goals]]\nmetric = "errors.rate"\nat_most = 0.05\n'
    rules = '[[alerts.rules]]\nname = "a"\non = "burn_rate"\n[[alerts.rules]]\nname = "b"\non = "goal"\n'
    found = parse(f'{PLAIN}{goal}{rules}metric = "errors.rate"\n').alerts.rules
    assert [rule.name for rule in found] == ["a", "b"]


def test_everything_has_a_default() -> None:
    alerts = parse(PLAIN).alerts
    assert alerts.goals
    assert alerts.least_calls == 20
    assert alerts.channels == {}
