"""The geometry of the console's charts. Pure: numbers in, numbers out; `templates/charts.html` draws them as SVG.

Only SVG attributes are used, no style attributes: the page's content security policy forbids those.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

_LONE = 4.0
"""Half the width of a band that stands alone, with no neighbour to reach to."""


class Bar(Struct, frozen=True):
    """One column: its place and size in the chart's own units, and what a reader is told. `bad` is stacked on top."""

    x: float
    width: float
    y: float
    height: float
    bad_y: float
    bad_height: float
    label: str


class Bars(Struct, frozen=True):
    """A column chart of `width` by `height` units. `most` is the value of a full column."""

    width: float
    height: float
    most: float
    bars: tuple[Bar, ...]


class Line(Struct, frozen=True):
    """A line of `width` by `height` units, as the `d` of SVG paths; gaps where values are unknown.

    `dots` are the values that stand alone, with no neighbour to draw a line to.
    """

    width: float
    height: float
    most: float
    path: str
    area: str
    dots: tuple[tuple[float, float], ...]


class Hit(Struct, frozen=True):
    """A place under the pointer, and what a reader is told there."""

    x: float
    width: float
    label: str


class Plot(Struct, frozen=True):
    """Several lines on one scale from 0 to `most`, with the bands of intervals behind them as the `d` of paths.

    `mark` is the height of a level to be drawn across, where there is one.
    """

    width: float
    height: float
    most: float
    lines: tuple[Line, ...]
    bands: tuple[str, ...]
    hits: tuple[Hit, ...]
    mark: float | None


class Block(Struct, frozen=True):
    """A part of a stacked column; `kind` is the number of its series."""

    kind: int
    x: float
    width: float
    y: float
    height: float


class Stacks(Struct, frozen=True):
    """Stacked columns of `width` by `height` units. `most` is the value of a full column."""

    width: float
    height: float
    most: float
    blocks: tuple[Block, ...]
    hits: tuple[Hit, ...]


class Stretch(Struct, frozen=True):
    """A part of a whole, in percent: where it begins and how long it is."""

    start: float
    length: float


def bars(values: Sequence[float], bad: Sequence[float], labels: Sequence[str], *, width: float, height: float) -> Bars:
    """Columns of `values`, of which `bad` are drawn as such. The three are equally long."""
    most = max(values, default=0)
    step = width / max(len(values), 1)
    gap = min(step * 0.25, 2.0)
    drawn = []
    for position, (value, wrong, label) in enumerate(zip(values, bad, labels, strict=True)):
        full = 0.0 if most == 0 else max(value / most * height, 1.5 if value else 0.0)
        red = 0.0 if value == 0 else full * min(wrong / value, 1.0)
        drawn.append(
            Bar(
                x=_round(position * step + gap / 2),
                width=_round(step - gap),
                y=_round(height - full + red),
                height=_round(full - red),
                bad_y=_round(height - full),
                bad_height=_round(red),
                label=label,
            )
        )
    return Bars(width, height, most, tuple(drawn))


def line(values: Sequence[float | None], *, width: float, height: float, most: float | None = None) -> Line:
    """A line from left to right, from 0 at the bottom to `most` (the largest value by default) at the top."""
    top = max((value for value in values if value is not None), default=0.0) if most is None else most
    runs: list[list[tuple[float, float]]] = [[]]
    for position, value in enumerate(values):
        if value is None:
            runs.append([])
            continue
        y = height if top == 0 else height - min(value / top, 1.0) * height
        runs[-1].append((_across(position, len(values), width), _round(y)))
    lines = [run for run in runs if len(run) > 1]
    path = " ".join("M" + " L".join(f"{x} {y}" for x, y in run) for run in lines)
    area = " ".join(
        f"M{run[0][0]} {height} L" + " L".join(f"{x} {y}" for x, y in run) + f" L{run[-1][0]} {height} Z"
        for run in lines
    )
    dots = tuple(run[0] for run in runs if len(run) == 1)
    return Line(width, height, top, path, area, dots)


Values = Sequence[float | None]


def plot(
    series: Sequence[Values],
    labels: Sequence[str],
    *,
    width: float,
    height: float,
    bands: Sequence[tuple[Values, Values]] = (),
    mark: float | None = None,
    most: float | None = None,
) -> Plot:
    """Lines of equally many values, and (low, high) pairs of them as bands; `labels` are for the places."""
    shown = [*series, *(side for band in bands for side in band), [mark]]
    top = nice(max((value for values in shown for value in values if value is not None), default=0.0))
    top = top if most is None else most
    return Plot(
        width=width,
        height=height,
        most=top,
        lines=tuple(line(values, width=width, height=height, most=top) for values in series),
        bands=tuple(_band(low, high, width=width, height=height, most=top) for low, high in bands),
        hits=_hits(labels, width, at_points=True),
        mark=None if mark is None or top == 0 else _round(height - min(mark / top, 1.0) * height),
    )


def stacks(series: Sequence[Sequence[float]], labels: Sequence[str], *, width: float, height: float) -> Stacks:
    """Columns of equally long series, the first one at the bottom."""
    top = nice(max((sum(column) for column in zip(*series, strict=True)), default=0.0))
    step = width / max(len(labels), 1)
    gap = min(step * 0.25, 3.0)
    blocks = []
    for position, column in enumerate(zip(*series, strict=True)):
        below = height
        for kind, value in enumerate(column):
            tall = 0.0 if top == 0 else value / top * height
            below -= tall
            if value:
                blocks.append(
                    Block(kind, _round(position * step + gap / 2), _round(step - gap), _round(below), _round(tall))
                )
    return Stacks(width, height, top, tuple(blocks), _hits(labels, width))


def nice(most: float) -> float:
    """The next round number: 1, 2, 2.5 or 5 times a power of ten."""
    if most <= 0 or not math.isfinite(most):
        return 0.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if most <= step * power * (1 + 1e-9))


def _hits(labels: Sequence[str], width: float, *, at_points: bool = False) -> tuple[Hit, ...]:
    """Columns side by side, or around the points of a line."""
    step = width / max(len(labels) - 1, 1) if at_points else width / max(len(labels), 1)
    back = step / 2 if at_points else 0.0
    return tuple(Hit(_round(max(place * step - back, 0.0)), _round(step), label) for place, label in enumerate(labels))


def _band(low: Values, high: Values, *, width: float, height: float, most: float) -> str:
    runs: list[list[tuple[float, float, float]]] = [[]]
    for place, (below, above) in enumerate(zip(low, high, strict=True)):
        if below is None or above is None or most == 0:
            runs.append([])
            continue
        down, up = (height - min(max(value / most, 0.0), 1.0) * height for value in (below, above))
        runs[-1].append((_across(place, len(low), width), _round(down), _round(up)))
    paths = []
    for run in runs:
        edges = [(x + aside, down, up) for x, down, up in run for aside in (-_LONE, _LONE)] if len(run) == 1 else run
        if edges:
            upper = " L".join(f"{x} {up}" for x, _, up in edges)
            lower = " L".join(f"{x} {down}" for x, down, _ in reversed(edges))
            paths.append(f"M{upper} L{lower} Z")
    return " ".join(paths)


def _across(place: int, places: int, width: float) -> float:
    """How far to the right a place is; in the middle where it is the only one."""
    return _round(width * (place / (places - 1) if places > 1 else 0.5))


def parts(shares: Sequence[float]) -> list[Stretch]:
    """Neighbouring stretches that make up 100 %, in the proportions of `shares`."""
    whole = sum(shares)
    found, at = [], 0.0
    for each in shares:
        length = 0.0 if whole == 0 else each / whole * 100
        found.append(Stretch(_round(at), _round(length)))
        at += length
    return found


def on_scale(start: float, length: float, whole: float) -> Stretch:
    """A stretch on a scale from 0 to `whole`; never outside it, never too short to be seen."""
    if whole <= 0:
        return Stretch(0.0, 100.0)
    begin = min(max(start / whole * 100, 0.0), 99.5)
    return Stretch(_round(begin), _round(min(max(length / whole * 100, 0.5), 100 - begin)))


def _round(value: float) -> float:
    return round(value, 2)
