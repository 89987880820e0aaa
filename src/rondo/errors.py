"""Every error Rondo raises on purpose, in one tree.

    RondoError
    ├── SettingsError          rondo.toml or a prompt file is wrong (file, key, what is allowed)
    ├── InvalidRequest         the caller sent something we cannot use (names the field)
    │   ├── TooLarge           more bytes than the limit allows
    │   ├── PriceUnknown       a budget applies, and nobody knows what this costs
    │   └── PreviousNotFound   no earlier response that this one could continue
    ├── NotFound               no such app, model, release, trace, ...
    ├── Conflict               the change does not fit the present state
    │   ├── GateClosed         a release lacks the evidence that it needs to take traffic
    │   └── Unservable         a release cannot be served, so it is given no traffic
    ├── Unauthorized           no key, or not a valid one
    ├── Forbidden              a valid key that may not do this
    ├── Unavailable            we cannot serve right now (journal full, shutting down)
    │   └── Overloaded         too many calls wait for this model already
    ├── RateLimited            a limit of requests, tokens or concurrent calls is reached
    │   └── BudgetExceeded     this call could cost more than is left of a budget
    ├── UpstreamError          a model provider failed
    │   ├── UpstreamTimeout
    │   │   └── ConnectTimeout nothing was sent
    │   ├── UpstreamUnreachable
    │   │   ├── UpstreamSilent all was sent, and nothing came
    │   │   └── KeyMissing     we have no key to send
    │   └── UpstreamCut        a stream died before its end
    └── CorruptData            bytes on disk are not what we wrote

An error says what is wrong and what to do about it. It knows nothing of HTTP: the doors map `code` to a
status (see `gateway/wire.py`).
"""

from __future__ import annotations


class RondoError(Exception):
    """`message` says what is wrong, `remedy` what to do; `param` names the offending field where there is one.

    `trace_id` is set once the failed call has been recorded; `retry_after` is in how many seconds it may go well.
    """

    code = "internal_error"
    trace_id: str | None = None
    retry_after: int | None = None

    def __init__(self, message: str, *, remedy: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.param = param

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message


def unexpected() -> RondoError:
    """What a caller is told of a fault of our own; whoever makes it has logged the rest."""
    return RondoError("Something went wrong inside Rondo.", remedy="The server's log has the details.")


class SettingsError(RondoError):
    """A project file is wrong. `file` is the path as the user knows it, `param` the dotted key."""

    code = "invalid_settings"

    def __init__(self, message: str, *, file: str, param: str | None = None, remedy: str | None = None) -> None:
        where = f"{file}: {param}: " if param else f"{file}: "
        super().__init__(where + message, remedy=remedy, param=param)
        self.file = file


class InvalidRequest(RondoError):
    code = "invalid_request"


class TooLarge(InvalidRequest):
    code = "too_large"


class PriceUnknown(InvalidRequest):
    """A budget applies, and what a model costs is not known."""


class PreviousNotFound(InvalidRequest):
    code = "previous_response_not_found"


class NotFound(RondoError):
    code = "not_found"


class Conflict(RondoError):
    code = "conflict"


class GateClosed(Conflict):
    code = "gate_closed"


class Unservable(Conflict):
    code = "unservable"


class Unauthorized(RondoError):
    code = "unauthorized"


class Forbidden(RondoError):
    code = "forbidden"


class Unavailable(RondoError):
    code = "unavailable"
    retry_after = 1


class Overloaded(Unavailable):
    code = "overloaded"


class RateLimited(RondoError):
    """`retry_after` is when the limit that was reached has room again."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after = retry_after


class BudgetExceeded(RateLimited):
    code = "budget_exceeded"


class UpstreamError(RondoError):
    """A provider failed.

    `status` is its HTTP status where it gave one, `body` its own error text, `retry_after` the seconds it asks to wait.
    """

    code = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        body: bytes = b"",
        retry_after: int | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.body = body
        self.retry_after = retry_after


class UpstreamTimeout(UpstreamError):
    code = "upstream_timeout"


class ConnectTimeout(UpstreamTimeout):
    """There was no connection in time, so nothing was sent."""


class UpstreamUnreachable(UpstreamError):
    code = "upstream_unreachable"


class UpstreamSilent(UpstreamUnreachable):
    """It was sent all of the request, and broke off without a word: it may have begun to answer."""


class KeyMissing(UpstreamUnreachable):
    """The server's environment has no key for this model; trying again will not bring one."""


class UpstreamCut(UpstreamError):
    code = "upstream_cut"


class CorruptData(RondoError):
    code = "corrupt_data"
