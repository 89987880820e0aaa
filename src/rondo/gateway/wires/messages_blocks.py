"""What a request on Anthropic's wire may hold, field by field; whatever else it holds is refused by its name."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Raw, Struct

NOTHING = Raw(b"")
"""A field that is not there."""


class CacheControl(Struct, omit_defaults=True):
    type: str
    ttl: str | None = None


class Citations(Struct):
    enabled: bool | None = None


class Text(Struct, tag_field="type", tag="text"):
    """`citations` of earlier answers come back in conversations; the text alone goes on."""

    text: str
    cache_control: CacheControl | None = None
    citations: Raw = NOTHING


class Base64(Struct, tag_field="type", tag="base64"):
    media_type: str
    data: str


class Url(Struct, tag_field="type", tag="url"):
    url: str


class FileId(Struct, tag_field="type", tag="file"):
    file_id: str


class PlainText(Struct, tag_field="type", tag="text"):
    data: str
    media_type: str = "text/plain"


class Image(Struct, tag_field="type", tag="image"):
    source: Base64 | Url | FileId
    cache_control: CacheControl | None = None
    transformations: Raw = NOTHING


class Inside(Struct, tag_field="type", tag="content"):
    content: str | list[Text | Image]


class Document(Struct, tag_field="type", tag="document"):
    source: Base64 | PlainText | Url | FileId | Inside
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None
    cache_control: CacheControl | None = None


class SearchResult(Struct, tag_field="type", tag="search_result"):
    source: str
    title: str
    content: list[Text]
    citations: Citations | None = None
    cache_control: CacheControl | None = None


class Thinking(Struct, tag_field="type", tag="thinking"):
    thinking: str
    signature: str = ""


class RedactedThinking(Struct, tag_field="type", tag="redacted_thinking"):
    data: str


class ToolUse(Struct, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: Raw
    cache_control: CacheControl | None = None


class ToolResult(Struct, tag_field="type", tag="tool_result"):
    tool_use_id: str
    content: str | list[Text | Image | Document | SearchResult] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


Block = Text | Image | Document | SearchResult | Thinking | RedactedThinking | ToolUse | ToolResult


class Turn(Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class Tool(Struct):
    """A tool of the client's own. Other types run at Anthropic, or are known to its models only."""

    name: str
    type: str | None = None
    description: str | None = None
    input_schema: Raw = NOTHING
    strict: bool | None = None
    cache_control: CacheControl | None = None
    input_examples: Raw = NOTHING
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None


class ToolChoice(Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Format(Struct):
    type: Literal["json_schema"]
    schema: Raw


class OutputConfig(Struct, forbid_unknown_fields=True):
    effort: str | None = None
    format: Format | None = None


class Body(Struct, forbid_unknown_fields=True, kw_only=True):
    """The whole request, with Rondo's own `inputs` and `session`."""

    model: str
    messages: list[Turn]
    max_tokens: int | None = None
    system: str | list[Text] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stream: bool | None = None
    metadata: dict[str, str | int | float | bool | None] | None = None
    thinking: Raw = NOTHING
    output_config: OutputConfig | None = None
    output_format: Format | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    cache_control: CacheControl | None = None
    inputs: dict[str, Any] | None = None
    session: str | None = None
    # They change nothing of what is asked: what was cached, what may be cut from what was sent.
    context_management: Raw = NOTHING
    diagnostics: Raw = NOTHING
    # Only Anthropic has these: refused where they ask for something.
    container: Raw = NOTHING
    inference_geo: Raw = NOTHING
    mcp_servers: Raw = NOTHING
    speed: Raw = NOTHING
    user_profile_id: Raw = NOTHING


def asks(raw: Raw) -> bool:
    """Whether a field asks for something."""
    return bytes(raw).strip() not in (b"", b"null", b"[]", b"{}", b'"standard"')


def is_object(raw: Raw) -> bool:
    return bytes(raw).lstrip().startswith(b"{")
