"""The form of a notice that Slack takes, and those like it (Mattermost, Rocket.Chat): Block Kit. Pure."""

from __future__ import annotations

from typing import Any

_LONGEST_HEADER = 150
_LONGEST_TEXT = 2_900
_MARKS = {"critical": "🔴", "warning": "🟠", "info": "🔵"}


def message(payload: dict[str, Any]) -> dict[str, Any]:
    """The links are whole by now."""
    data = payload["data"]
    mark = "🟢" if data["status"] == "resolved" else _MARKS.get(data["severity"], "")
    title = f"{mark} {data['title']}".strip()
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(title, _LONGEST_HEADER), "emoji": True}},
        {"type": "section", "text": {"type": "mrkdwn", "text": _cut(escaped(data["text"]), _LONGEST_TEXT)}},
    ]
    about = [f"*Severity* {data['severity']}"]
    if data.get("release"):
        about.append(f"*Came with* {escaped(data['release'])}")
    blocks.append(
        {"type": "context", "elements": [{"type": "mrkdwn", "text": _cut(each, _LONGEST_TEXT)} for each in about]}
    )
    links = " · ".join(_link(name, address) for name, address in data["links"].items())
    if links:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": _cut(links, _LONGEST_TEXT)}})
    return {"text": _cut(escaped(f"{title}: {data['text']}"), _LONGEST_TEXT), "blocks": blocks}


def escaped(text: str) -> str:
    """As Slack wants it: three characters only."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _link(name: str, address: str) -> str:
    if not address.startswith(("https://", "http://")):
        return f"{name}: `{escaped(address)}`"
    return f"<{escaped(address).replace('|', '%7C')}|{name}>"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
