"""The adapter to DeepEval (extra `rondo[deepeval]`): one metric of `deepeval.metrics`, its model asked through Rondo.

DeepEval reports usage, reads `.env` files and looks for updates unless it is told not to before it is imported; here
it is told, and nothing is sent to Confident AI. A metric keeps its state in itself, so each case gets a new one.
"""

from __future__ import annotations

import inspect
import os
from importlib import metadata
from typing import Any

from rondo.cli.client import is_loopback
from rondo.cli.own_costs import note, note_later
from rondo.cli.own_scorers import Gateway, NotThere, Say, require_version
from rondo.datasets.model import Example
from rondo.evals.model import Case, Scored
from rondo.evals.scorers.model import Unscorable
from rondo.evals.scorers.own import DeepEvalOptions
from rondo.settings.table import nearest

QUIET = {
    "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
    "DEEPEVAL_DISABLE_DOTENV": "1",
    "DEEPEVAL_UPDATE_WARNING_OPT_IN": "0",
    "ERROR_REPORTING": "NO",
    "CONFIDENT_TRACING_ENABLED": "NO",
}


def load(options: DeepEvalOptions, gateway: Gateway) -> Say:
    """The scorer. Raises NotThere."""
    os.environ.update(QUIET)
    os.environ.pop("CONFIDENT_API_KEY", None)
    try:
        from deepeval import metrics, test_case
        from deepeval.models import DeepEvalBaseLLM
    except ImportError as error:
        raise NotThere(
            f"DeepEval cannot be loaded ({error}). Install it with `pip install 'rondo[deepeval]'`."
        ) from None
    require_version(options, metadata.version("deepeval"))
    kinds = {name: value for name, value in vars(metrics).items() if _is_metric(value, metrics.BaseMetric)}
    if options.metric not in kinds:
        raise NotThere(f"DeepEval has no metric {options.metric!r}.{nearest(options.metric, kinds)}", option="metric")
    kind = kinds[options.metric]
    model = _through(gateway, options.model, DeepEvalBaseLLM)
    given = _arguments(kind, options, model, test_case)
    try:
        kind(**given)
    except (TypeError, ValueError) as error:
        raise NotThere(f"{options.metric}: {error}", option="options") from None

    async def say(case: Case) -> Scored:
        metric = kind(**given)
        try:
            await metric.a_measure(_test_case(case, test_case), _show_indicator=False)
        except Exception as error:
            if type(error).__name__ == "MissingTestCaseParamsError":
                raise Unscorable("no_reference", " ".join(str(error).split())[:500]) from None
            raise
        if not isinstance(metric.score, int | float):
            raise Unscorable("not_a_number", f"DeepEval gave {metric.score!r:.60}, which is no number.")
        return Scored(value=float(metric.score), reason=str(getattr(metric, "reason", None) or "")[:500])

    return say


def _through(gateway: Gateway, name: str, base: type[Any]) -> Any:
    """A model of DeepEval's that asks Rondo: text in, text out; DeepEval reads the JSON in it itself."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

    url, key = f"{gateway.url.rstrip('/')}/v1", gateway.key
    trusts = not is_loopback(gateway.url)

    class Through(base):  # type: ignore[misc]
        def load_model(self) -> Any:
            now = DefaultHttpxClient(trust_env=trusts, event_hooks={"response": [note]})
            later = DefaultAsyncHttpxClient(trust_env=trusts, event_hooks={"response": [note_later]})
            self.now = OpenAI(base_url=url, api_key=key, http_client=now)
            return AsyncOpenAI(base_url=url, api_key=key, http_client=later)

        def generate(self, prompt: str) -> str:
            return _text(self.now.chat.completions.create(**_request(name, prompt)))

        async def a_generate(self, prompt: str) -> str:
            return _text(await self.model.chat.completions.create(**_request(name, prompt)))

        def get_model_name(self) -> str:
            return name

    return Through(name)


def _request(name: str, prompt: str) -> dict[str, Any]:
    return {"model": name, "messages": [{"role": "user", "content": prompt}], "temperature": 0}


def _text(completion: Any) -> str:
    return str(completion.choices[0].message.content or "")


def _is_metric(value: Any, base: type[Any]) -> bool:
    return isinstance(value, type) and issubclass(value, base) and value is not base


def _arguments(kind: Any, options: DeepEvalOptions, model: Any, test_case: Any) -> dict[str, Any]:
    """What the metric is made with. `evaluation_params` may be named as texts, e.g. `["input", "actual_output"]`."""
    takes = inspect.signature(kind.__init__).parameters
    given = {name: value for name, value in (("model", model), ("async_mode", True)) if name in takes}
    given |= options.options
    if isinstance(named := given.get("evaluation_params"), list):
        params = {each.value: each for each in test_case.SingleTurnParams}
        strange = next((each for each in named if each not in params), None)
        if strange is not None:
            hint = nearest(str(strange), params)
            raise NotThere(f"A test case has no {strange!r}.{hint}", option="options.evaluation_params")
        given["evaluation_params"] = [params[each] for each in named]
    return given


def _test_case(case: Case, test_case: Any) -> Any:
    example: Example = case.example
    expected = example.expected
    passages = [text for each in example.context if isinstance(text := each.get("text"), str)]
    return test_case.LLMTestCase(
        input=example.question,
        actual_output=case.answer.text,
        expected_output=expected if isinstance(expected, str) else None,
        retrieval_context=[chunk.text for chunk in case.answer.chunks] or None,
        context=passages or None,
        tools_called=_tools(case.answer.tool_calls, test_case),
        expected_tools=None if example.tool_calls is None else _tools(example.tool_calls, test_case),
    )


def _tools(calls: list[dict[str, Any]], test_case: Any) -> list[Any]:
    make = test_case.ToolCall
    return [make(name=str(each.get("name", "")), input_parameters=each.get("arguments") or {}) for each in calls]
