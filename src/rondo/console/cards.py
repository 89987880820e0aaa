"""Cards of dashboards: a chart with the words around it. Numbers in, what a template draws out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from rondo.console import charts, formats

WIDTH, HEIGHT = 640.0, 150.0
_DAY_US = 86_400_000_000

Values = Sequence[float | None]
Words = Callable[[float | None], str]


class Key(Struct, frozen=True):
    """A series in a legend: its colour's number, its name, and its value over the whole window."""

    colour: int
    name: str
    value: str


class Card(Struct, frozen=True, kw_only=True):
    """A chart. `top` is what its upper edge stands for, `ticks` are times from left to right; `link` is the address of
    what the note tells of."""

    title: str
    figure: str
    keys: list[Key]
    plot: charts.Plot | None = None
    stacks: charts.Stacks | None = None
    top: str
    ticks: list[str]
    note: str = ""
    link: str | None = None
    tone: str = ""
    wide: bool = False
    is_empty: bool = False


def lines(
    title: str,
    buckets: Sequence[int],
    series: Mapping[str, Values],
    words: Words,
    *,
    figure: str = "",
    overall: Mapping[str, float | None] | None = None,
    bands: Sequence[tuple[Values, Values]] = (),
    mark: float | None = None,
    most: float | None = None,
    note: str = "",
    link: str | None = None,
    tone: str = "",
    wide: bool = False,
) -> Card:
    """Lines over time, by their names. `overall` are values over the whole window, for the legend."""
    told = overall or {}
    plot = charts.plot(
        list(series.values()),
        _labels(buckets, series, words),
        width=WIDTH,
        height=HEIGHT,
        bands=bands,
        mark=mark,
        most=most,
    )
    named = len(series) > 1 or bool(told)
    return Card(
        title=title,
        figure=figure,
        keys=[
            Key(number, name, words(told[name]) if name in told else "") for number, name in enumerate(series) if named
        ],
        plot=plot,
        top=words(plot.most) if plot.most else "",
        ticks=_ticks(buckets),
        note=note,
        link=link,
        tone=tone,
        wide=wide,
        is_empty=all(value is None for values in series.values() for value in values),
    )


def columns(
    title: str,
    buckets: Sequence[int],
    series: Mapping[str, Sequence[float]],
    words: Words,
    *,
    figure: str = "",
    note: str = "",
    wide: bool = False,
    tone: str = "",
) -> Card:
    """Stacked columns over time, by their names."""
    stacks = charts.stacks(list(series.values()), _labels(buckets, series, words), width=WIDTH, height=HEIGHT)
    return Card(
        title=title,
        figure=figure,
        keys=[Key(number, name, words(sum(values))) for number, (name, values) in enumerate(series.items())]
        if len(series) > 1
        else [],
        stacks=stacks,
        top=words(stacks.most) if stacks.most else "",
        ticks=_ticks(buckets),
        note=note,
        tone=tone,
        wide=wide,
        is_empty=not any(any(values) for values in series.values()),
    )


def zeros(values: Values) -> list[float]:
    """For columns, in which nothing and unknown look the same."""
    return [value or 0.0 for value in values]


def _labels(buckets: Sequence[int], series: Mapping[str, Values], words: Words) -> list[str]:
    """What is told of each place: the time, and the value of each series."""
    found = []
    for place, bucket in enumerate(buckets):
        values = [f"{name}: {words(each[place])}" for name, each in series.items()]
        found.append("\n".join([_moment(bucket, buckets), *values]))
    return found


def _ticks(buckets: Sequence[int]) -> list[str]:
    if not buckets:
        return []
    places = sorted({0, len(buckets) // 2, len(buckets) - 1})
    return [_moment(buckets[place], buckets) for place in places]


def _moment(bucket: int, buckets: Sequence[int]) -> str:
    """With the hour where buckets are shorter than a day, with the day where there are several."""
    told = formats.when(bucket)
    step = buckets[1] - buckets[0] if len(buckets) > 1 else _DAY_US
    if step >= _DAY_US:
        return told[:10]
    return told[11:16] if buckets[-1] - buckets[0] < _DAY_US else told[5:16]
