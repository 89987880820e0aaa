"""What each part of the gateway adds to a request, when it is switched on: CPU time in the process, without a network.

    python benchmarks/extras.py [--rounds 30]

A provider of no cost answers 1 KB requests with 1 KB; key check, pricing and journal are always on. Rounds of all
variants alternate, and each one's least disturbed round counts. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from rondo.cache.answers import Answers
from rondo.cache.model import CachePolicy
from rondo.gateway.endpoint import Gateway
from rondo.gateway.plan import Plan, ServedApp, ServedModel, ServedRelease
from rondo.gateway.reply import Headers, Whole
from rondo.governance.admit import digest
from rondo.governance.model import Grant
from rondo.guards.build import build
from rondo.journal.append import Journal
from rondo.limits.model import Limit, LimitTable
from rondo.prompts.render import Template
from rondo.prompts.source import parse_prompt
from rondo.providers.base import ModelSpec, ProviderRequest, ReadyReply
from rondo.providers.prices import Price
from rondo.rules.chain import compiled

_REQUESTS = 200
_TEXT = "Your order left our warehouse this morning and should reach you within two working days. " * 12
_PROMPT = "# system\nAnswer briefly and politely.\n\n# user\n{{ question }}\n"
_ANSWER = msgspec.json.encode(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1760000000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": _TEXT[:700]}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 212, "completion_tokens": 64, "total_tokens": 276},
    }
)
_HEADERS: Headers = [(b"authorization", b"Bearer key"), (b"content-type", b"application/json")]


class Instant:
    """A provider that has its answer ready."""

    async def send(self, request: ProviderRequest) -> ReadyReply:
        return ReadyReply([_ANSWER])


def release(app: str, model: ServedModel, **more: Any) -> ServedApp:
    parsed = parse_prompt(_PROMPT, file="answer.md")
    made = ServedRelease(
        app=app,
        number=1,
        hash="c0ffee",
        prompt="answer",
        prompt_version=parsed.version,
        template=Template(parsed),
        route=(model,),
        params={},
        knowledge=None,
        knowledge_version=None,
        index=None,
        top_k=0,
        hand_over="A colleague takes over.",
        models={model.spec.name: model},
        **more,
    )
    return ServedApp(name=app, stable=made)


def apps(model: ServedModel) -> dict[str, ServedApp]:
    """One for each part."""
    rules = compiled([{"when": 'input.length > 100000 or tags.plan == "gold"', "use": ["mini"]}], {})
    pii = build([{"check": "pii", "action": "redact"}], hand_over="", project="p")
    more = build([{"check": check} for check in ("pii", "secrets", "injection")], hand_over="", project="p")
    return {
        "an app: its release, its prompt": release("app", model),
        "an app with a rule": release("rule", model, rules=rules),
        "an app with `pii` on question and answer": release("pii", model, guards=pii),
        "an app with `pii`, `secrets` and `injection`": release("guards", model, guards=more),
        "an app with a cache: answers that were kept": release("cache", model, cache=CachePolicy(ttl_s=3600)),
    }


def body(model: str) -> bytes:
    messages = [{"role": "user", "content": _TEXT[:900]}]
    return msgspec.json.encode({"model": model, "messages": messages, "temperature": 0, "max_tokens": 128})


async def measure(folder: Path, rounds: int) -> dict[str, float]:
    """CPU-µs per request, by what is switched on."""
    spec = ModelSpec(name="mini", provider="openai", model="gpt-4o-mini")
    model = ServedModel(spec, Instant(), Price(input=0.15, output=0.6), "prices-1")
    grant = Grant(project="p", key_id="k", name="bench", kind="secret")
    served = apps(model)
    journal = Journal(folder, segment_bytes=1 << 30, min_free_bytes=1)
    plan = Plan(
        revision=1,
        grants={digest("key"): grant},
        apps={("p", app.name): app for app in served.values()},
        models={("p", "mini"): model},
        direct=lambda provider, name: None,
    )
    most = Limit(scope="project", requests_per_minute=10**9, tokens_per_minute=10**12, nano_per_day=10**15)
    limited = msgspec.structs.replace(plan, limits=LimitTable([("p", most)]))

    def gateway(its: Plan) -> Gateway:
        return Gateway(its, journal, max_body_bytes=1 << 20, answers=Answers(most_bytes=1 << 24))

    variants = {
        "a model by its name": (gateway(plan), body("mini")),
        "the same, with limits and a budget": (gateway(limited), body("mini")),
        **{title: (gateway(plan), body(app.name)) for title, app in served.items()},
    }
    least = dict.fromkeys(variants, float("inf"))
    for _ in range(rounds):
        for title, (asked, request) in variants.items():
            began = time.process_time()
            for _ in range(_REQUESTS):
                reply = await asked.respond("POST", "/v1/chat/completions", _HEADERS, request)
                if not isinstance(reply, Whole) or reply.status != 200:
                    raise RuntimeError(f"{title}: {reply}")
            least[title] = min(least[title], (time.process_time() - began) / _REQUESTS * 1e6)
    for asked, _ in variants.values():
        await asked.close()
    await asyncio.sleep(0)
    journal.close()
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rondo-bench-") as folder:
        found = uvloop.run(measure(Path(folder), asked.rounds))
    print("| | CPU-µs per request | more than a model by its name |\n|---|---|---|")
    plain = next(iter(found.values()))
    for title, cost in found.items():
        print(f"| {title} | {cost:.0f} | {cost - plain:+.0f} |")


if __name__ == "__main__":
    main()
