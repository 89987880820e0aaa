"""Guards over an answer that comes in pieces: what is settled goes on at once, what may yet become something waits.

Each guard is a stage that text flows through, in the order of the file:

    flag      a tap: text passes untouched, and is looked at when it is whole
    redact    a window: holds back what is not settled, and blots out what it finds
    block     the same window, where the check knows places; else a gate, which lets text pass in batches that it has
              looked at, or, for checks that make sense of whole answers only, all of it at the end

Nothing is lost, doubled or put in another order.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from rondo import clock
from rondo.guards.chain import Guard, counted, without_tokens
from rondo.guards.model import Ask, Looked, Role, Text
from rondo.guards.pseudonyms import unfinished
from rondo.records import Verdict

LEFT = 200
"""Characters of what has gone out already that a window still looks at, for the words before a number."""

LONGEST = 8_192
"""Characters that a window holds back at most; whoever writes on and on is let go, as far as it is known."""

STEP = 24
"""Characters that must be settled before a window looks again: an event of a stream has five or so."""

BATCH = 400
"""Characters that a gate looks at together."""


class Watch:
    """What one answer's guards need to know together: who is asked, what was issued, and what was found so far."""

    def __init__(self, guards: Sequence[Guard], ask: Ask, issued: set[str]) -> None:
        self.guards = guards
        self.issued = issued
        self.blocked: str | None = None
        self._ask = ask
        self._verdicts = {guard.name: guard.verdict("output", Looked({}), 0.0) for guard in guards}

    @property
    def verdicts(self) -> list[Verdict]:
        """As of now."""
        return list(self._verdicts.values())

    async def look(self, guard: Guard, text: Text) -> Looked:
        """What the guard's check says, timed. Raises Unavailable."""
        began = clock.monotonic()
        looked = await guard.look((text,), self._ask, "output")
        self._add(guard, {}, looked.note, (clock.monotonic() - began) * 1_000)
        return looked

    def found(self, guard: Guard, found: dict[str, int]) -> None:
        """Count findings, once each."""
        self._add(guard, found, None, 0.0)

    def block(self, guard: Guard) -> None:
        """The answer ends here."""
        if self.blocked is None:
            self.blocked = guard.answer

    def _add(self, guard: Guard, found: dict[str, int], note: str | None, duration_ms: float) -> None:
        before = self._verdicts[guard.name]
        counts = dict(before.found)
        for kind, number in found.items():
            counts[kind] = counts.get(kind, 0) + number
        self._verdicts[guard.name] = structs.replace(
            before,
            found=counts,
            note=note or before.note,
            duration_ms=round(before.duration_ms + duration_ms, 3),
        )


class Flow:
    """One text (of one choice) through all stages. `passes` where no stage ever changes or holds anything."""

    def __init__(self, watch: Watch, role: Role) -> None:
        self._watch = watch
        self._stages = [
            _stage(watch, guard, role) for guard in watch.guards if role == "assistant" or guard.placing is not None
        ]
        self.passes = all(isinstance(stage, _Tap) for stage in self._stages)

    async def feed(self, text: str, *, last: bool = False) -> str:
        """What may go out now; `last` where nothing follows. Raises Unavailable."""
        for stage in self._stages:
            if self._watch.blocked is not None:
                return ""
            text = await stage.feed(text, last)
        return text


class _Tap:
    def __init__(self, watch: Watch, guard: Guard, role: Role) -> None:
        self._watch, self._guard, self._role = watch, guard, role
        self._parts: list[str] = []

    async def feed(self, text: str, last: bool) -> str:
        self._parts.append(text)
        if last:
            whole = "".join(self._parts)
            looked = await self._watch.look(self._guard, Text(self._role, whole))
            places = [without_tokens(whole, found) for found in looked.places]
            self._watch.found(self._guard, counted(places) if looked.places else looked.found)
        return text


class _Window:
    def __init__(self, watch: Watch, guard: Guard, role: Role) -> None:
        assert guard.placing is not None
        self._watch, self._guard, self._role = watch, guard, role
        self._settled = guard.placing.settled
        self._left = ""
        self._held = ""
        self._enough = STEP

    async def feed(self, text: str, last: bool) -> str:
        self._held += text
        if len(self._held) < self._enough and not last:
            return ""
        whole, gone = self._left + self._held, len(self._left)
        cut = len(whole) if last else min(self._settled(whole), unfinished(whole))
        if cut - gone < STEP and not last and len(self._held) <= LONGEST:
            self._enough = len(self._held) + STEP - max(0, cut - gone)
            return ""
        self._enough = STEP
        looked = await self._watch.look(self._guard, Text(self._role, whole))
        findings = without_tokens(whole, looked.places[0]) if looked.places else []
        for finding in reversed(findings):
            if finding.end > cut or (finding.end == len(whole) and not last):
                cut = max(gone, min(cut, finding.start))
        if len(self._held) > LONGEST:
            cut = len(whole)
        ours = [structs.replace(each, start=max(each.start, gone)) for each in findings if gone < each.end <= cut]
        self._watch.found(self._guard, counted((ours,)))
        self._left, self._held = whole[max(0, cut - LEFT) : cut], whole[cut:]
        if not ours:
            return whole[gone:cut]
        if self._guard.action == "block":
            self._watch.block(self._guard)
            return whole[gone : ours[0].start]
        # Places count from what goes out now.
        moved = [structs.replace(each, start=each.start - gone, end=each.end - gone) for each in ours]
        return self._guard.redacted(whole[gone:cut], moved, self._watch.issued)


class _Gate:
    def __init__(self, watch: Watch, guard: Guard, role: Role) -> None:
        self._watch, self._guard, self._role = watch, guard, role
        self._passed = ""
        self._held = ""

    async def feed(self, text: str, last: bool) -> str:
        self._held += text
        if not last and (self._guard.whole or len(self._held) < BATCH):
            return ""
        looked = await self._watch.look(self._guard, Text(self._role, self._passed + self._held))
        self._watch.found(self._guard, looked.found)
        if looked.found:
            self._watch.block(self._guard)
            return ""
        out, self._held = self._held, ""
        self._passed += out
        return out


_Stage = _Tap | _Window | _Gate


def _stage(watch: Watch, guard: Guard, role: Role) -> _Stage:
    if guard.action == "flag":
        return _Tap(watch, guard, role)
    return _Window(watch, guard, role) if guard.placing is not None else _Gate(watch, guard, role)
