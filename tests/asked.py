"""A conversation in no wire's language, for tests that tell it on every wire and read it from every vendor.

`Asked` is what a client wants; `Heard` what came out at the vendor; `Told` what the client got back. All three are
about meaning: ids of answers, times and the cut of a stream are not in them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Json = dict[str, Any]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CITY: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


class Call(NamedTuple):
    """The assistant calls a tool."""

    id: str
    name: str
    given: Json


class Result(NamedTuple):
    """What a tool gave back; `image` is a PNG in base64."""

    id: str
    text: str
    failed: bool = False
    image: str = ""


class Image(NamedTuple):
    """A PNG in base64."""

    data: str


class Tool(NamedTuple):
    name: str
    about: str = "Looks something up."
    schema: Json = CITY


Item = str | Call | Result | Image


class Asked(NamedTuple):
    """`turns` are (role, items); `choice` is "", "required", "none", or "=" and a tool's name."""

    turns: tuple[tuple[str, tuple[Item, ...]], ...]
    system: str = ""
    tools: tuple[Tool, ...] = ()
    choice: str = ""
    one_call: bool = False
    schema: Json | None = None
    longest: int = 4096
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    effort: str = ""


class Heard(NamedTuple):
    """The same, as the vendor has it: `items` are (role, item) in their order."""

    items: list[tuple[str, Item]]
    system: str
    tools: list[tuple[str, str, Json]]
    choice: str
    one_call: bool
    schema: Json | None
    longest: int | None
    temperature: float | None
    top_p: float | None
    stop: tuple[str, ...]
    thinks: bool


class Told(NamedTuple):
    """An answer as the client has it. `read`, `written`: tokens of the cache; `given` are all of the prompt."""

    text: str
    thinking: str
    signature: str
    calls: list[Call]
    stop: str
    stop_text: str | None
    given: int
    read: int
    written: int
    made: int
    reasoned: int


def heard_of(asked: Asked) -> Heard:
    """What should come out."""
    return Heard(
        items=[(role, item) for role, items in asked.turns for item in items],
        system=asked.system,
        tools=[(tool.name, tool.about, tool.schema) for tool in asked.tools],
        choice=asked.choice,
        one_call=asked.one_call,
        schema=asked.schema,
        longest=asked.longest,
        temperature=asked.temperature,
        top_p=asked.top_p,
        stop=asked.stop,
        thinks=bool(asked.effort),
    )
