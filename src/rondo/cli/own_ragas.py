"""The adapter to Ragas (extra `rondo[ragas]`): a metric of `ragas.metrics.collections`, its model asked through Rondo.

Ragas reports usage unless it is told not to before it is imported; here it is told. NaN, which it gives where it could
not judge, becomes an error.
"""

from __future__ import annotations

import inspect
import os
import warnings
from importlib import metadata
from typing import Any

from rondo.cli.client import is_loopback
from rondo.cli.own_costs import note_later
from rondo.cli.own_scorers import Gateway, NotThere, Say, require_version
from rondo.evals.model import Case, Scored
from rondo.evals.scorers.model import Unscorable
from rondo.evals.scorers.own import RagasOptions
from rondo.settings.table import nearest

QUIET = {"RAGAS_DO_NOT_TRACK": "true"}


def load(options: RagasOptions, gateway: Gateway) -> Say:
    """The scorer. Raises NotThere."""
    os.environ.update(QUIET)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from openai import AsyncOpenAI, DefaultAsyncHttpxClient
            from ragas.embeddings.base import embedding_factory
            from ragas.llms.base import llm_factory
            from ragas.metrics import collections
    except ImportError as error:
        raise NotThere(f"Ragas cannot be loaded ({error}). Install it with `pip install 'rondo[ragas]'`.") from None
    require_version(options, metadata.version("ragas"))
    metrics = {name: getattr(collections, name) for name in collections.__all__ if name != "BaseMetric"}
    if options.metric not in metrics:
        raise NotThere(f"Ragas has no metric {options.metric!r}.{nearest(options.metric, metrics)}", option="metric")
    kind = metrics[options.metric]
    http_client = DefaultAsyncHttpxClient(
        trust_env=not is_loopback(gateway.url), event_hooks={"response": [note_later]}
    )
    client = AsyncOpenAI(base_url=f"{gateway.url.rstrip('/')}/v1", api_key=gateway.key, http_client=http_client)
    given = dict(options.options)
    takes = inspect.signature(kind.__init__).parameters
    if "llm" in takes:
        given["llm"] = llm_factory(options.model, client=client)
    if "embeddings" in takes:
        if options.embeddings is None:
            raise NotThere(f"{options.metric} embeds texts: name the model for it.", option="embeddings")
        given["embeddings"] = embedding_factory("openai", model=options.embeddings, client=client, interface="modern")
    try:
        metric = kind(**given)
    except (TypeError, ValueError) as error:
        raise NotThere(f"{options.metric}: {error}", option="options") from None
    return _scoring(metric)


def _scoring(metric: Any) -> Say:
    wanted = {
        name: parameter.default is parameter.empty
        for name, parameter in inspect.signature(metric.ascore).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    }

    async def say(case: Case) -> Scored:
        known = fields(case)
        missing = [name for name, required in wanted.items() if required and not known.get(name)]
        if missing:
            raise Unscorable("no_reference", f"The example or the answer has no `{missing[0]}`.")
        found = await metric.ascore(**{name: known[name] for name in wanted if known.get(name)})
        if not isinstance(found.value, int | float):
            raise Unscorable("not_a_number", f"Ragas gave {found.value!r:.60}, which is no number.")
        return Scored(value=float(found.value), reason=str(found.reason or "")[:500])

    return say


def fields(case: Case) -> dict[str, Any]:
    """A case in Ragas's words; what is not known is None or empty."""
    expected = case.example.expected
    return {
        "user_input": case.example.question,
        "response": case.answer.text,
        "reference": expected if isinstance(expected, str) else None,
        "retrieved_contexts": [chunk.text for chunk in case.answer.chunks],
        "reference_contexts": [text for each in case.example.context if isinstance(text := each.get("text"), str)],
    }
