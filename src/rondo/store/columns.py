"""The columns of the record store, derived from `records.py`: a field is a column. Pure."""

from __future__ import annotations

import msgspec

from rondo.records import Call, CallMessage, Score, Span, TraceSpan


def columns(record: type[msgspec.Struct]) -> dict[str, str]:
    """Name → SQL type of the fields of a record. `spans` is a list of structs: it becomes a table of its own."""
    return {field.name: _sql_type(field.type) for field in msgspec.inspect.type_info(record).fields}  # type: ignore[attr-defined]


def required(record: type[msgspec.Struct]) -> set[str]:
    """Columns that are never NULL."""
    return {field.name for field in msgspec.structs.fields(record) if field.required}


def defaults(record: type[msgspec.Struct]) -> dict[str, str]:
    """Column → SQL of its default, where that is not NULL: what a record leaves out."""
    found: dict[str, str] = {}
    for field in msgspec.structs.fields(record):
        made = field.default_factory
        value = field.default if made is msgspec.NODEFAULT else made()
        if value is not msgspec.NODEFAULT and value is not None:
            found[field.name] = _sql_value(value)
    return found


def table(
    name: str,
    record: type[msgspec.Struct],
    *more: str,
    leave_out: tuple[str, ...] = (),
    strict: bool = True,
    packed: tuple[str, ...] = (),
) -> str:
    """CREATE TABLE for a record; `more` are further column definitions and constraints, verbatim.

    `strict` makes the required fields NOT NULL. `packed` columns are made as small as can be, and are slower to scan;
    for the others DuckDB chooses.
    """
    needed = required(record) if strict else set()
    lines = [
        f'"{column}" {kind}{" NOT NULL" if column in needed else ""}'
        f"{' USING COMPRESSION zstd' if column in packed else ''}"
        for column, kind in columns(record).items()
        if column not in leave_out
    ]
    return f"CREATE TABLE {name} (\n  " + ",\n  ".join([*lines, *more]) + "\n)"


def _sql_type(kind: msgspec.inspect.Type) -> str:  # noqa: PLR0911
    inspect = msgspec.inspect
    match kind:
        case inspect.UnionType(types=types):
            (real,) = (each for each in types if not isinstance(each, inspect.NoneType))
            return _sql_type(real)
        case inspect.StrType() | inspect.LiteralType():
            return "VARCHAR"
        case inspect.IntType():
            return "BIGINT"
        case inspect.FloatType():
            return "DOUBLE"
        case inspect.BoolType():
            return "BOOLEAN"
        case inspect.DictType():
            return "MAP(VARCHAR, VARCHAR)"
        case inspect.ListType(item_type=inspect.StructType(cls=item)) if item is Span:
            fields = ", ".join(f'"{name}" {column}' for name, column in columns(Span).items())
            return f"STRUCT({fields})[]"
        case inspect.ListType():
            return "JSON"
    raise TypeError(f"no column type for {kind}")


def _sql_value(value: object) -> str:
    match value:
        case bool() | int() | float():
            return str(value).lower()
        case str():
            return "'" + value.replace("'", "''") + "'"
        case {} if not value:
            return "MAP {}"
        case []:
            return "'[]'"
    raise TypeError(f"no SQL for the default {value!r}")


CALL = columns(Call)
SPAN = columns(Span)
SCORE = columns(Score)
TRACE_SPAN = columns(TraceSpan)
MESSAGE = columns(CallMessage)

# What a search for text looks through. Lower case is made once, at the insert: made at every search, it takes most of
# its time.
SEARCH_TEXT = "lower(concat_ws(chr(10), question, answer)) AS search_text"
