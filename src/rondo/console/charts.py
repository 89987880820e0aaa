"""The geometry of the console's charts. Pure: numbers in, numbers out; `templates/charts.html` draws them as SVG.

Only SVG attributes are used, no style attributes: the page's content security policy forbids those.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


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
    step = width / max(len(values) - 1, 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for position, value in enumerate(values):
        if value is None:
            runs.append([])
            continue
        y = height if top == 0 else height - min(value / top, 1.0) * height
        runs[-1].append((_round(position * step), _round(y)))
    lines = [run for run in runs if len(run) > 1]
    path = " ".join("M" + " L".join(f"{x} {y}" for x, y in run) for run in lines)
    area = " ".join(
        f"M{run[0][0]} {height} L" + " L".join(f"{x} {y}" for x, y in run) + f" L{run[-1][0]} {height} Z"
        for run in lines
    )
    dots = tuple(run[0] for run in runs if len(run) == 1)
    return Line(width, height, top, path, area, dots)


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
