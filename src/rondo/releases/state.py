"""Which release serves whom, as a state machine. Pure: no clock, no chance, no database.

    release(n)            the first release of an app becomes stable
    promote(n)            n becomes stable; a split ends
    split({n: percent})   candidates take shares, the stable release has the rest
    rollback()            a split ends; without one, back to the stable release before
    rollback(to=n)        back to a release that has served before
    shadow({n: percent})  a share of the requests is copied to a release or a model; nobody sees its answers
    take_step(trial)      a rollout gives its candidate a share, and as many callers to a baseline beside it

While a rollout moves the traffic nobody else does: promote, split and shadow are refused, a rollback ends it.

Who is given which candidate is decided by a hash of the caller with the `salt` (`gateway/assign.py`). The salt stays
while the same candidates are tried, and each candidate keeps its slots of the 10,000: growing one share moves only
callers of the stable release to it, and nobody from one candidate to another.

A rollback says that what served was bad: it never becomes what a later rollback goes back to, unless someone
promotes it again. So rolling back twice goes further back, not to and fro.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

from msgspec import Struct, structs

from rondo.errors import Conflict, InvalidRequest
from rondo.releases.slots import WHOLE_BP, Slots, slots_of

Standing = Literal["stable", "candidate", "retired", "ready"]
Variant = Literal["candidate", "baseline"]
Sticky = Literal["user", "session"]

_LONGEST_PERCENT = 24  # digits that Decimal computes with exactly


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


class Trial(Struct, frozen=True, kw_only=True):
    """The rollout that moves the traffic now: whom it tries, and the places of the callers it compares them with.

    Those of the `baseline` are served by the stable release, as all are who are in no arm.
    """

    rollout: str
    candidate: int
    baseline: Slots = ()
    sticky: Sticky = "user"


class Place(NamedTuple):
    """Some of the 10,000 places, one after the other, and the side of a rollout that they are, if any."""

    release: int
    places: int
    variant: Variant | None = None


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
    trial: Trial | None = None


NOTHING = Traffic()


def release(state: Traffic, number: int) -> Traffic:
    """An app's first release serves at once; later ones wait for `promote` or `split`."""
    return promote(state, number) if state.stable is None else state


def promote(state: Traffic, number: int) -> Traffic:
    """`number` serves everyone. The same state where it does already. Raises Conflict while a rollout goes on."""
    _require_no_trial(state)
    if number == state.stable and not state.arms:
        return state
    return _promoted(state, number)


def _promoted(state: Traffic, number: int) -> Traffic:
    history = tuple(each for each in state.history if each != number)
    if state.stable is not None and state.stable != number:
        history = (*(each for each in history if each != state.stable), state.stable)
    shadows = tuple(each for each in state.shadows if each.release != number)
    return Traffic(stable=number, history=history, served=state.served | {number}, shadows=shadows)


def split(state: Traffic, percents: Mapping[int, object], *, salt: str) -> Traffic:
    """Candidates take these shares, in percent with up to two decimals; `salt` is used where they are new.

    The same state where nothing would change. Raises InvalidRequest (`shares.<release>`), and Conflict where there
    is no stable release to have the rest, or a rollout goes on.
    """
    _require_no_trial(state)
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
    slots = slots_of({arm.release: arm.slots for arm in state.arms} if goes_on else {}, shares)
    arms = tuple(Arm(number, share, slots[number]) for number, share in shares.items())
    if arms == state.arms:
        return state
    return structs.replace(state, arms=arms, salt=state.salt if goes_on else salt, served=state.served | set(shares))


def rollback(state: Traffic, to: int | None = None) -> Traffic:
    """Back to what served before. The same state where `to` serves everyone already. Raises Conflict."""
    if state.stable is None:
        raise Conflict("Nothing serves yet, so there is nothing to go back to.", remedy="Release the app first.")
    if to is None:
        if state.arms or state.trial is not None:
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
    stays = to == state.stable and not state.arms and state.trial is None
    return state if stays else _back_to(state, to)


def shadow(state: Traffic, percents: Mapping[str, object]) -> Traffic:
    """These releases (by number) and models (by name) get copies of their shares of the requests, and no others do.

    Raises InvalidRequest (`shares.<name>`), and Conflict where nothing serves yet, or a rollout goes on.
    """
    _require_no_trial(state)
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


def take_step(
    state: Traffic, trial: Trial, *, share_bp: int, baseline_bp: int = 0, shadow_bp: int = 0, salt: str
) -> Traffic:
    """A rollout gives its candidate this share, so many callers to the baseline, and copies of so many requests.

    A step that grows takes callers from the stable release, and only when it has none left from the other side. `salt`
    is used where the rollout has just begun. Raises Conflict where there is something else that moves the traffic.
    """
    if state.stable is None or trial.candidate == state.stable:
        raise Conflict(
            f"Release {trial.candidate} serves already, so there is nothing to roll out.",
            remedy="Release something new: `rondo release`.",
            param="release",
        )
    goes_on = state.trial is not None and state.trial.rollout == trial.rollout
    if not goes_on:
        _require_no_trial(state)
        if state.arms:
            raise Conflict(
                "The traffic is split by hand.",
                remedy="End the split first (`rondo split --end`), then start the rollout.",
            )
    had: dict[str, Slots] = {"candidate": state.arms[0].slots} if state.arms else {}
    if goes_on and state.trial is not None:
        had["baseline"] = state.trial.baseline
    slots = slots_of(had, {"candidate": share_bp, "baseline": baseline_bp})
    kept = [each for each in state.shadows if each.release != trial.candidate]
    copies = [Shadow(release=trial.candidate, share_bp=shadow_bp)] if shadow_bp else []
    return structs.replace(
        state,
        arms=(Arm(trial.candidate, share_bp, slots["candidate"]),) if share_bp else (),
        salt=state.salt if goes_on else salt,
        served=state.served | {trial.candidate} if share_bp else state.served,
        shadows=(*kept, *copies),
        trial=structs.replace(trial, baseline=slots["baseline"]),
    )


def end_trial(state: Traffic, rollout: str, *, promotes: bool) -> Traffic:
    """A rollout's candidate serves everyone, or nobody. The same state where the rollout moves no traffic."""
    trial = state.trial
    if trial is None or trial.rollout != rollout or state.stable is None:
        return state
    return _promoted(state, trial.candidate) if promotes else _back_to(state, state.stable)


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


def layout(state: Traffic) -> tuple[Place, ...]:
    """The 10,000 places from 0 up; what follows after the last is the stable one's.

    This is what `gateway/assign.py` counts through. Between candidates that have shrunk lie places of the stable
    release, so it may be named here too, and a candidate more than once. A baseline is the stable release as well.
    """
    trial, stable = state.trial, state.stable
    ranges: list[tuple[int, int, int, Variant | None]] = [
        (start, end, arm.release, "candidate" if trial is not None and trial.candidate == arm.release else None)
        for arm in state.arms
        for start, end in arm.slots
    ]
    if trial is not None and stable is not None:
        ranges += [(start, end, stable, "baseline") for start, end in trial.baseline]
    places: list[Place] = []
    at = 0
    for start, end, number, variant in sorted(ranges, key=lambda each: each[0]):
        if start > at and stable is not None:
            places.append(Place(stable, start - at))
        places.append(Place(number, end - start, variant))
        at = end
    return tuple(places)


def _require_no_trial(state: Traffic) -> None:
    if state.trial is not None:
        raise Conflict(
            f"A rollout of release {state.trial.candidate} is under way, and moves the traffic.",
            remedy="End it first: `rondo rollout promote`, or `rondo rollout abort`.",
        )


def _shares_bp(state: Traffic) -> dict[int, int]:
    shares = {arm.release: arm.share_bp for arm in state.arms}
    if state.stable is not None:
        shares[state.stable] = WHOLE_BP - sum(shares.values())
    return shares


def _back_to(state: Traffic, number: int) -> Traffic:
    """What comes after `number` in the history, and what serves now, is left behind. A rollout ends."""
    history = state.history
    if number in history:
        history = history[: history.index(number)]
    gone = {number} if state.trial is None else {number, state.trial.candidate}
    shadows = tuple(each for each in state.shadows if each.release not in gone)
    return Traffic(stable=number, history=history, served=state.served, shadows=shadows)
