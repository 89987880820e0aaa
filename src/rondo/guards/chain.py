"""The guards of a release, in the order of the file, over the texts of one request or one whole answer.

What an earlier guard redacts, a later one does not see. Once a request is blocked, only what redacts still runs: what
is recorded is clean whatever happens. A guard that cannot look (its model is away) closes the way, unless it only
flags.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct, structs

from rondo import clock
from rondo.errors import BudgetExceeded, PriceUnknown, RondoError, Unavailable
from rondo.guards.model import Action, Ask, AskingCheck, Check, Finding, Looked, PlacingCheck, Stage, Text
from rondo.guards.pseudonyms import Pseudonyms, tokens_in
from rondo.records import Verdict

WITHHELD = "[WITHHELD]"
"""In the place of text that could not be looked at."""

LARGE = 1 << 16
"""Characters that are looked at beside the event loop: dense findings take some milliseconds for each thousand."""

T = TypeVar("T")

_log = logging.getLogger("rondo.guards")


class Guard(Struct, frozen=True, kw_only=True):
    """A check with its action. One of `check` and `asking` is set; `placing` where it knows places.

    `whole`: it makes sense of whole answers only. `pseudonyms` is set where it puts tokens in place of values.
    """

    name: str
    action: Action
    check: Check | None = None
    asking: AskingCheck | None = None
    placing: PlacingCheck | None = None
    whole: bool = False
    answer: str = ""
    use: tuple[str, ...] = ()
    pseudonyms: Pseudonyms | None = None
    repair: bool = False

    async def look(self, texts: Sequence[Text], ask: Ask, stage: Stage) -> Looked:
        """What the check says. Raises Unavailable where it cannot, unless the guard only flags.

        Whatever the action: raises BudgetExceeded and PriceUnknown where a budget keeps its model from being asked.
        """
        try:
            if self.check is not None:
                return await aside(texts, partial(self.check.look, texts))
            assert self.asking is not None
            return await self.asking.ask(texts, ask)
        except (BudgetExceeded, PriceUnknown):  # the request's own limit, not a failure of the check
            raise
        except RondoError as error:
            reason = error.code
        except Exception:
            _log.exception("the guard %s failed", self.name)
            reason = "internal_error"
        if self.action == "flag":
            return Looked({}, note=f"did not look: {reason}")
        raise Unavailable(
            f"The guard {self.name!r} could not check the {stage}.",
            remedy="It lets nothing pass unchecked. The server's log, or the model it asks, has the reason.",
        )

    def redacted(self, text: str, findings: Iterable[Finding], issued: set[str]) -> str:
        """The text with a blot or a token in the place of each finding; tokens join `issued`."""
        parts: list[str] = []
        done = 0
        for finding in findings:
            parts.append(text[done : finding.start])
            done = finding.end
            value = text[finding.start : finding.end]
            token = None if self.pseudonyms is None else self.pseudonyms.token(finding.kind, value)
            if token is not None:
                issued.add(token)
            parts.append(token or f"[{finding.kind.upper()}]")
        return "".join((*parts, text[done:]))

    def verdict(self, stage: Stage, looked: Looked, duration_ms: float) -> Verdict:
        """What is recorded."""
        return Verdict(
            guard=self.name,
            stage=stage,
            action=self.action,
            found=looked.found,
            note=looked.note,
            duration_ms=round(duration_ms, 3),
        )


class Guards(Struct, frozen=True, kw_only=True):
    """All guards of a release; each stage may have none. `pseudonyms` are there where any guard makes them."""

    input: tuple[Guard, ...] = ()
    output: tuple[Guard, ...] = ()
    pseudonyms: Pseudonyms | None = None
    models: tuple[str, ...] = ()
    """The models that guards ask or route to, by name."""


def keeps_thoughts(guards: Sequence[Guard]) -> bool:
    """Whether thoughts that these change keep their signature: tokens turn back into what was signed, blots do not."""
    return all(guard.pseudonyms is not None for guard in guards if guard.action == "redact")


class Outcome(Struct, kw_only=True):
    """What the guards make of a request or an answer. `failure` is to be raised once all else is recorded."""

    texts: list[str]
    verdicts: list[Verdict]
    blocked: str | None = None
    route: tuple[str, ...] = ()
    complaint: str | None = None
    failure: RondoError | None = None


async def run(
    guards: Sequence[Guard],
    stage: Stage,
    texts: Sequence[Text],
    ask: Ask,
    issued: set[str],
    *,
    may_repair: bool = False,
) -> Outcome:
    """Look at all texts with every guard. `may_repair`: what a schema misses is for the model to mend, this once."""
    now = list(texts)
    outcome = Outcome(texts=[], verdicts=[])
    for guard in guards:
        over = outcome.blocked is not None or outcome.failure is not None
        if over and guard.action != "redact":
            continue
        began = clock.monotonic()
        try:
            looked = await guard.look(now, ask, stage)
        except RondoError as failure:
            outcome.failure = outcome.failure or failure
            looked = Looked({}, note="could not look")
            if guard.action == "redact":
                now = [structs.replace(text, value=WITHHELD) for text in now]
        places = [without_tokens(text.value, found) for text, found in zip(now, looked.places, strict=False)]
        if looked.places:
            looked = structs.replace(looked, found=counted(places))
        outcome.verdicts.append(guard.verdict(stage, looked, (clock.monotonic() - began) * 1_000))
        if not looked.found:
            continue
        if guard.repair and may_repair and looked.complaint is not None:
            outcome.complaint = await _redacted(guards, looked.complaint, ask, stage, issued)
        elif guard.action == "redact":
            now = await aside(now, partial(_redact, guard, now, places, issued))
        elif guard.action == "block":
            outcome.blocked = guard.answer
        elif guard.action == "route":
            outcome.route = outcome.route or guard.use
    outcome.texts = [text.value for text in now]
    return outcome


async def aside(texts: Sequence[Text], work: Callable[[], T]) -> T:
    """The result of `work` on these texts: beside the event loop where they are so long that others would wait."""
    if sum(len(text.value) for text in texts) > LARGE:
        return await asyncio.to_thread(work)
    return work()


def _redact(guard: Guard, texts: Sequence[Text], places: Sequence[list[Finding]], issued: set[str]) -> list[Text]:
    return [
        structs.replace(text, value=guard.redacted(text.value, found, issued)) if found else text
        for text, found in zip(texts, places, strict=True)
    ]


async def _redacted(guards: Sequence[Guard], complaint: str, ask: Ask, stage: Stage, issued: set[str]) -> str:
    """A complaint quotes the answer, and stands in the record of the request that has it mended."""
    for guard in guards:
        if guard.action == "redact":
            try:
                looked = await guard.look((Text("assistant", complaint),), ask, stage)
            except RondoError:
                return WITHHELD
            if looked.places:
                complaint = guard.redacted(complaint, without_tokens(complaint, looked.places[0]), issued)
    return complaint


def counted(places: Iterable[Collection[Finding]]) -> dict[str, int]:
    """How many of each kind."""
    found: dict[str, int] = {}
    for findings in places:
        for finding in findings:
            found[finding.kind] = found.get(finding.kind, 0) + 1
    return found


def without_tokens(text: str, findings: list[Finding]) -> list[Finding]:
    """Findings that are no part of what looks like a token: those are random letters, and stand for what was found."""
    if not findings or not (tokens := tokens_in(text)):
        return findings
    kept: list[Finding] = []
    rest = iter(tokens)
    token: tuple[int, int] | None = next(rest)
    for finding in findings:  # both in order, and neither overlaps its own kind
        while token is not None and token[1] <= finding.start:
            token = next(rest, None)
        if token is None or finding.end <= token[0]:
            kept.append(finding)
    return kept
