"""A visit: a request by someone who is signed in, and what pages need to answer it.

A page is an address, the role it needs, and a handler: parse, call a room's verb, render. The table of all pages is
in `app.py`; the same roles that let a page in also decide what it offers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from rondo.console import charts, formats
from rondo.control import Admitted
from rondo.errors import InvalidRequest
from rondo.governance.model import Grant, Role

THEME = "rondo_theme"

DONE = {
    "promoted": "The release serves everyone now.",
    "split": "The new shares hold.",
    "ended": "The split has ended; the stable release serves everyone.",
    "copied": "Requests are copied from now on.",
    "not-copied": "No requests are copied.",
    "rolled-back": "Traffic has gone back.",
    "rollout-started": "The rollout has begun, or will at its time.",
    "rollout-paused": "The rollout stays where it is.",
    "rollout-resumed": "The rollout goes on.",
    "rollout-approved": "It is approved, and goes on.",
    "unchanged": "Nothing had to change.",
    "tested": "The call is a test now.",
    "pattern-tested": "The calls of the pattern are tests now.",
    "drift-looked": "Here is what was found.",
    "attack-tested": "The attack is a test now.",
    "feedback": "Thank you; the feedback is kept.",
    "revoked": "The key is revoked, everywhere.",
    "cancelled": "No more of its requests are asked.",
    "limited": "The limit holds now.",
    "unlimited": "The limit is gone.",
    "asked": "The call is in the queue of reviews.",
    "reviewed": "Your answer is kept. Here is the next one.",
    "all-reviewed": "Nothing waits for you any more.",
    "settled": "The dispute is settled.",
    "dismissed": "It is out of the queue.",
    "reopened": "It is in the queue again.",
    "collected": "New calls are in the queue.",
    "acknowledged": "You look after it.",
    "resolved": "The alert is over.",
    "silenced": "Nobody is told of it for that time.",
    "unsilenced": "The silence has ended.",
    "channel-tested": "The test has arrived.",
    "nothing-collected": "There are no new calls to be reviewed.",
}
"""What a page says after a form has been sent and it was sent on. Fixed texts: an address cannot put words here."""


def may(grant: Grant | None, role: str) -> bool:
    """Whether the key has this role or a higher one; nobody has none."""
    return grant is not None and grant.role is not None and grant.role.includes(Role(role))


class Visit(Admitted):
    """A request for a page."""

    def may(self, role: str) -> bool:
        """Whether the key has this role or a higher one."""
        return may(self.grant, role)

    @property
    def is_partial(self) -> bool:
        """Whether htmx asks, for a part of a page."""
        return self.request.headers.get("hx-request") == "true"

    async def form(self) -> dict[str, str]:
        """The fields of a form; of one that is given twice, the last. Raises InvalidRequest."""
        async with self.request.form(max_files=0, max_fields=100) as sent:
            fields = {name: value for name, value in sent.items() if isinstance(value, str)}
        for name, value in fields.items():
            if "\0" in value:
                raise InvalidRequest(f"`{name}` holds a NUL character.", remedy="Send text.", param=name)
        return fields

    def page(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """The page, rendered for this visitor."""
        done = DONE.get(self.query("did") or "")
        return HTMLResponse(
            render(
                self.request,
                template,
                self.grant,
                done=done,
                settings_fault=self.control.settings_fault,
                **context,
            ),
            status_code=status,
        )


Handler = Callable[[Visit], Awaitable[Response]]


class Page(NamedTuple):
    """An address of the console, and who may use it."""

    method: str
    path: str
    role: Role
    handler: Handler


def go(path: str, **query: str | int | None) -> Response:
    """Send the browser on to a page of ours, after a form."""
    given = {name: value for name, value in query.items() if value is not None}
    return RedirectResponse(f"{path}?{urlencode(given)}" if given else path, status_code=303)


def whole_number(text: str, name: str) -> int:
    """Raises InvalidRequest, naming the field."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidRequest(f"`{name}` must be a whole number, not {text!r:.60}.", param=name)
    return int(text)


def render(request: Request, template: str, grant: Grant | None = None, **context: Any) -> str:
    """A template's text, for whoever has `grant`. All values are escaped, wherever they come from."""
    theme = request.cookies.get(THEME)
    return (
        _environment()
        .get_template(template)
        .render(
            {
                "path": request.url.path,
                "base_url": str(request.base_url).rstrip("/"),
                "params": request.query_params,
                "theme": theme if theme in ("light", "dark") else None,
                "grant": grant,
                "may": lambda role: may(grant, role),
                "done": None,
                "settings_fault": None,
                **context,
            }
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rondo.console"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(formats.FILTERS)
    environment.globals.update(charts=charts, with_query=with_query)
    return environment


def with_query(params: Mapping[str, str], **changes: Any) -> str:
    """`?...` with these parameters changed; None takes one out."""
    merged = {**dict(params), **{name: str(value) for name, value in changes.items() if value is not None}}
    return "?" + urlencode(
        {name: value for name, value in merged.items() if value and changes.get(name, "") is not None}
    )
