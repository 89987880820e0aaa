"""The request that an example is, and the key under which its answer is known. Pure.

Two requests have the same key where nothing that decides the answer differs: who is asked, what, with which passages,
and which repeat it is. So a repeat is never answered by another one's answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from rondo.catalog.text import canonical_json
from rondo.datasets.model import Example
from rondo.errors import InvalidRequest
from rondo.records import Chunk
from rondo.settings.evaluating import PlayedUserSettings

_NOT_AN_EXAMPLES = frozenset(("model", "messages", "stream", "stream_options", "n", "inputs", "models", "route"))
"""Fields that an evaluation sets itself, or that would make several answers of one."""


def body_of(example: Example, messages: list[dict[str, Any]], name: str, *, app: bool) -> dict[str, Any]:
    """A chat completion's body; `name` stands where a client writes `model`."""
    params = {field: value for field, value in example.params.items() if field not in _NOT_AN_EXAMPLES}
    body: dict[str, Any] = {**params, "model": name, "messages": messages}
    if app and example.inputs:
        body["inputs"] = example.inputs
    return body


def passages_of(example: Example) -> list[Chunk] | None:
    """The passages that an example gives in the place of retrieval; None where it gives none.

    Raises InvalidRequest for one without a text.
    """
    return [_passage(number, given) for number, given in enumerate(example.context, 1)] or None


def _passage(number: int, given: Mapping[str, Any]) -> Chunk:
    text = given.get("text")
    if not isinstance(text, str) or not text:
        raise InvalidRequest(
            f"The example's passage {number} has no text.", remedy='Write {"text": ...}.', param="context"
        )
    named = {field: str(given.get(field) or "") for field in ("source", "title", "heading")}
    return Chunk(number=number, id=str(given.get("id") or f"context-{number}"), text=text, score=0.0, **named)


def answer_key(identity: str, example: Example, repeat: int, *, app: bool, user: tuple[str, Any] | None) -> str:
    """The key of an example's answer. `user` is the identity of who plays the user, with its settings."""
    said = {
        "who": identity,
        "body": body_of(example, example.messages, "", app=app),
        "context": example.context,
        "repeat": repeat,
    }
    if example.follow_ups:
        said["follow_ups"] = example.follow_ups
    if user is not None:
        said["user"] = [user[0], user[1], msgspec.to_builtins(example.persona)]
    return _key(said)


def ask_key(identity: str, path: str, request: Mapping[str, Any], repeat: int, nth: int) -> str:
    """The key of one thing that is asked of a model for a case; `nth` tells apart what is asked several times."""
    return _key({"who": identity, "path": path, "request": dict(request), "repeat": repeat, "nth": nth})


def played(settings: PlayedUserSettings) -> dict[str, Any]:
    """What decides how a user is played, but for the model."""
    return {"max_turns": settings.max_turns}


def _key(said: dict[str, Any]) -> str:
    """Raises InvalidRequest for values that JSON has not."""
    try:
        return blake2b(canonical_json(said).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"This cannot be sent as JSON: {error}.") from None
