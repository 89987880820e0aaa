"""Which release serves whom, as a state machine. Pure: no clock, no chance, no database.

    release(n)            the first release of an app becomes stable
    promote(n)            n becomes stable; a split ends
    split({n: percent})   candidates take shares, the stable release has the rest
    rollback()            a split ends; without one, back to the stable release before
    rollback(to=n)        back to a release that has served before
    shadow({n: percent})  a share of the requests is copied to a release or a model; nobody sees its answers

Who is given which candidate is decided by a hash of the caller with the `salt` (`gateway/assign.py`). The salt stays
while the same candidates are tried, and each candidate keeps its slots of the 10,000: growing one share moves only
callers of the stable release to it, and nobody from one candidate to another.

A rollback says that what served was bad: it never becomes what a later rollback goes back to, unless someone
promotes it again. So rolling back twice goes further back, not to and fro.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct, structs

from rondo.errors import Conflict, InvalidRequest

Standing = Literal["stable", "candidate", "retired", "ready"]

WHOLE_BP = 10_000
_LONGEST_PERCENT = 24  # digits that Decimal computes with exactly

Slots = tuple[tuple[int, int], ...]
"""Ranges [from, to) of the 10,000 places of callers, ascending and apart."""


class Arm(Struct, frozen=True):
    """A candidate, its share in basis points, and the places it has: exactly as many as its share."""

    release: int
    share_bp: int
    slots: Slots


class Shadow(Struct, frozen=True, kw_only=True):
    """Gets copies of a share of the requests: a release, or the stable one's prompt on another model."""

    release: int | None = None
    model: str | None = None
    share_bp: int

    @property
    def name(self) -> str:
        """The release's number, or the model's name."""
        return str(self.release) if self.release is not None else self.model or ""


class Traffic(Struct, frozen=True, kw_only=True):
    """What serves whom. `history`: stable releases to go back to, the last one first in line; never `stable` itself.

    `served` are all that ever had traffic; shadows have none. `arms` are ordered by release.
    """

    stable: int | None = None
    arms: tuple[Arm, ...] = ()
    salt: str = ""
    history: tuple[int, ...] = ()
    served: frozenset[int] = frozenset()
    shadows: tuple[Shadow, ...] = ()


NOTHING = Traffic()


def release(state: Traffic, number: int) -> Traffic:
    """An app's first release serves at once; later ones wait for `promote` or `split`."""
    return promote(state, number) if state.stable is None else state


def promote(state: Traffic, number: int) -> Traffic:
    """`number` serves everyone. The same state where it does already."""
    if number == state.stable and not state.arms:
        return state
    history = tuple(each for each in state.history if each != number)
    if state.stable is not None and state.stable != number:
        history = (*(each for each in history if each != state.stable), state.stable)
    shadows = tuple(each for each in state.shadows if each.release != number)
    return Traffic(stable=number, history=history, served=state.served | {number}, shadows=shadows)


def split(state: Traffic, percents: Mapping[int, object], *, salt: str) -> Traffic:
    """Candidates take these shares, in percent with up to two decimals; `salt` is used where they are new.

    The same state where nothing would change. Raises InvalidRequest (`shares.<release>`), and Conflict where there
    is no stable release to have the rest.
    """
    if state.stable is None:
        raise Conflict("Nothing serves yet.", remedy="Release the app first: `rondo release`.")
    if not percents:
        raise InvalidRequest("A split needs a candidate.", remedy="Name one as RELEASE=PERCENT.", param="shares")
    if state.stable in percents:
        raise InvalidRequest(
            f"Release {state.stable} is the stable one; it has whatever the candidates leave.",
            remedy="Name only candidates.",
            param=f"shares.{state.stable}",
        )
    shares = {number: basis_points(percents[number], param=f"shares.{number}") for number in sorted(percents)}
    if sum(shares.values()) > WHOLE_BP:
        raise InvalidRequest(
            f"The shares come to {percent_text(sum(shares.values()))} %.", remedy="Stay within 100 %.", param="shares"
        )
    goes_on = {arm.release for arm in state.arms} == set(shares)
    arms = _arms(state.arms if goes_on else (), shares)
    if arms == state.arms:
        return state
    return structs.replace(state, arms=arms, salt=state.salt if goes_on else salt, served=state.served | set(shares))


def rollback(state: Traffic, to: int | None = None) -> Traffic:
    """Back to what served before. The same state where `to` serves everyone already. Raises Conflict."""
    if state.stable is None:
        raise Conflict("Nothing serves yet, so there is nothing to go back to.", remedy="Release the app first.")
    if to is None:
        if state.arms:
            return _back_to(state, state.stable)
        if not state.history:
            raise Conflict(
                f"Release {state.stable} has no stable release before it.",
                remedy="Promote another release, or name one that has served: `--to NUMBER`.",
            )
        return _back_to(state, state.history[-1])
    if to not in state.served:
        have = ", ".join(str(number) for number in sorted(state.served))
        raise Conflict(
            f"Release {to} has never served, so traffic cannot go back to it.",
            remedy=f"These have: {have}. To serve a new one, promote it.",
            param="to",
        )
    return state if to == state.stable and not state.arms else _back_to(state, to)


def shadow(state: Traffic, percents: Mapping[str, object]) -> Traffic:
    """These releases (by number) and models (by name) get copies of their shares of the requests, and no others do.

    Raises InvalidRequest (`shares.<name>`), and Conflict where nothing serves yet.
    """
    if state.stable is None:
        raise Conflict("Nothing serves yet, so there is nothing to copy.", remedy="Release the app first.")
    shadows = []
    for name, percent in sorted(percents.items()):
        share = basis_points(percent, param=f"shares.{name}")
        number = int(name) if name.isascii() and name.isdigit() and len(name) < 10 else None
        if number == state.stable:
            raise InvalidRequest(
                f"Release {number} answers these requests itself.",
                remedy="Name another release, or a model.",
                param=f"shares.{name}",
            )
        shadows.append(Shadow(release=number, model=None if number is not None else name, share_bp=share))
    return structs.replace(state, shadows=tuple(shadows))


def standing(state: Traffic, number: int) -> Standing:
    """What a release is to its app now: it serves, is tried, has had traffic, or has never had any."""
    if number == state.stable:
        return "stable"
    if any(arm.release == number for arm in state.arms):
        return "candidate"
    return "retired" if number in state.served else "ready"


def gaining(before: Traffic, after: Traffic) -> list[int]:
    """The releases that have more traffic after than before, without the one that was stable; none at an app's first.

    A stable release that gets shares back has shown itself already.
    """
    if before.stable is None:
        return []
    had, has = _shares_bp(before), _shares_bp(after)
    return sorted(number for number, share in has.items() if number != before.stable and share > had.get(number, 0))


def basis_points(percent: object, *, param: str) -> int:
    """Hundredths of a percent, from a number or its text. Raises InvalidRequest."""
    share = Decimal(0)
    if isinstance(percent, int | float | str | Decimal) and not isinstance(percent, bool):
        try:
            text = str(percent)
            share = Decimal(text) * 100 if len(text) <= _LONGEST_PERCENT else share
        except (ArithmeticError, ValueError):
            pass
    if not (share.is_finite() and 0 < share <= WHOLE_BP and share == int(share)):
        raise InvalidRequest(
            f"{param} is not a share.",
            remedy="Give a percentage above 0 and up to 100, with at most two decimals.",
            param=param,
        )
    return int(share)


def percent_text(share_bp: int) -> str:
    """Basis points as people write percents: `5`, `0.25`, `12.5`."""
    return f"{share_bp / 100:.2f}".rstrip("0").rstrip(".")


def layout(state: Traffic) -> tuple[tuple[int, int], ...]:
    """The 10,000 places from 0 up, as (release, number of places); what follows after the last is the stable one's.

    This is what `gateway/assign.py` counts through. Between candidates that have shrunk lie places of the stable
    release, so it may be named here too, and a candidate more than once.
    """
    ranges = sorted((start, end, arm.release) for arm in state.arms for start, end in arm.slots)
    places: list[tuple[int, int]] = []
    at = 0
    for start, end, number in ranges:
        if start > at and state.stable is not None:
            places.append((state.stable, start - at))
        places.append((number, end - start))
        at = end
    return tuple(places)


def _shares_bp(state: Traffic) -> dict[int, int]:
    shares = {arm.release: arm.share_bp for arm in state.arms}
    if state.stable is not None:
        shares[state.stable] = WHOLE_BP - sum(shares.values())
    return shares


def _back_to(state: Traffic, number: int) -> Traffic:
    """What comes after `number` in the history, and what serves now, is left behind."""
    history = state.history
    if number in history:
        history = history[: history.index(number)]
    shadows = tuple(each for each in state.shadows if each.release != number)
    return Traffic(stable=number, history=history, served=state.served, shadows=shadows)


def _arms(before: tuple[Arm, ...], shares: Mapping[int, int]) -> tuple[Arm, ...]:
    """Arms with these shares. Each keeps the slots it has, as far as its share goes, from the first on.

    What it needs more comes from the stable release, and only when that has none left from arms that shrink.
    """
    had = {arm.release: arm.slots for arm in before}
    of_stable = _others([slot for slots in had.values() for slot in slots])
    given_back = [slot for number, slots in had.items() for slot in _after_first(slots, shares[number])]
    pool: Slots = (*of_stable, *given_back)
    arms = []
    for number, share in shares.items():
        kept = _first(had.get(number, ()), share)
        needed = share - sum(end - start for start, end in kept)
        arms.append(Arm(number, share, _joined([*kept, *_first(pool, needed)])))
        pool = _after_first(pool, needed)
    return tuple(arms)


def _first(slots: Slots, count: int) -> Slots:
    """The first `count` places of these."""
    found: list[tuple[int, int]] = []
    for start, end in slots:
        if count <= 0:
            break
        found.append((start, min(end, start + count)))
        count -= end - start
    return tuple(found)


def _after_first(slots: Slots, count: int) -> Slots:
    """The places after the first `count` of these."""
    found: list[tuple[int, int]] = []
    for start, end in slots:
        if end - start > count:
            found.append((start + count, end))
        count = max(0, count - (end - start))
    return tuple(found)


def _others(taken: list[tuple[int, int]]) -> Slots:
    """The places of the 10,000 that are not in `taken`."""
    found: list[tuple[int, int]] = []
    at = 0
    for start, end in [*sorted(taken), (WHOLE_BP, WHOLE_BP)]:
        if start > at:
            found.append((at, start))
        at = end
    return tuple(found)


def _joined(slots: list[tuple[int, int]]) -> Slots:
    found: list[tuple[int, int]] = []
    for start, end in sorted(slots):
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(found)
