"""Tools of the Responses wire as those of a chat completion. Pure.

A custom tool, whose input is plain text, becomes a function with one argument, `input`: every provider has functions.
Tools that OpenAI runs itself (web search, files, computers, MCP) have nobody to run them here, and are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from rondo.errors import InvalidRequest
from rondo.gateway.reading import UNREADABLE

CUSTOM_INPUT = Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
)
"""The schema of the function that stands for a custom tool."""


class Tool(Struct, rename={"is_async": "async"}):
    """An entry of `tools`, as far as we look into it."""

    type: str
    name: str = ""
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None
    format: Any = None
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None
    is_async: bool | None = None


class _Named(Struct):
    type: str = ""
    name: str = ""


class ToolChoice(Struct):
    """`tool_choice` where it is no word: one tool by name, or several that are allowed."""

    type: str
    name: str = ""
    mode: str = "auto"
    tools: list[_Named] = []


class _CustomInput(Struct):
    input: str


_custom_input = msgspec.json.Decoder(_CustomInput)


def check(tools: Sequence[Tool]) -> None:
    """Raises InvalidRequest for a tool that cannot be had, naming it."""
    for place, tool in enumerate(tools):
        where = f"tools[{place}]"
        if tool.type not in ("function", "custom"):
            raise InvalidRequest(
                f"`{where}` is of type {tool.type!r:.50}, which OpenAI's servers run and Rondo does not.",
                remedy="Run it in your program, and offer it to the model as a `function` tool.",
                param=where,
            )
        if not tool.name:
            raise InvalidRequest(f"`{where}` has no name.", remedy="Set `name`.", param=f"{where}.name")
        _check_extras(tool, where)


def _check_extras(tool: Tool, where: str) -> None:
    grammar = isinstance(tool.format, dict) and tool.format.get("type") == "grammar"
    programmatic = tool.allowed_callers is not None and tool.allowed_callers != ["direct"]
    for name, given in (
        ("format", grammar),
        ("defer_loading", tool.defer_loading),
        ("allowed_callers", programmatic),
        ("async", tool.is_async),
    ):
        if given:
            raise InvalidRequest(
                f"`{where}.{name}` asks for what a chat completion cannot do.",
                remedy="Leave it out; a `function` tool with `parameters` holds the model to a schema."
                if name == "format"
                else "Leave it out.",
                param=f"{where}.{name}",
            )


def chat_tool(tool: Tool) -> dict[str, Any]:
    """A tool as a chat completion has it."""
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.type == "custom":
        return {"type": "function", "function": {**function, "parameters": CUSTOM_INPUT}}
    if bytes(tool.parameters) not in (b"", b"null"):
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def chat_choice(choice: str | ToolChoice, tools: Sequence[Tool]) -> tuple[Any, Sequence[Tool]]:
    """`tool_choice` as a chat completion has it, and the tools that are left to choose from.

    Raises InvalidRequest. Few providers know OpenAI's `allowed_tools`; leaving the others out says the same to all.
    """
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            raise InvalidRequest(
                f"`tool_choice` may not be {choice!r:.50}.", remedy="Use none, auto or required.", param="tool_choice"
            )
        return choice, tools
    if choice.type in ("function", "custom"):
        return {"type": "function", "function": {"name": choice.name}}, tools
    if choice.type != "allowed_tools":
        raise InvalidRequest(
            f"`tool_choice` names a tool of type {choice.type!r:.50}, which Rondo does not run.",
            remedy="Use none, auto, required, or a function.",
            param="tool_choice.type",
        )
    names = {tool.name for tool in choice.tools}
    missing = names - {tool.name for tool in tools}
    if missing or not names:
        raise InvalidRequest(
            f"`tool_choice.tools` names {', '.join(sorted(missing)) or 'no tool'}, which is not among `tools`.",
            param="tool_choice.tools",
        )
    return chat_choice(choice.mode, [tool for tool in tools if tool.name in names])


def custom_arguments(text: str) -> str:
    """The arguments by which the model would have called the function that stands for a custom tool."""
    return msgspec.json.encode(_CustomInput(text)).decode()


def custom_input(arguments: str) -> str:
    """The input of a custom tool; arguments of another form are its input as they are."""
    try:
        return _custom_input.decode(arguments).input
    except UNREADABLE:
        return arguments
