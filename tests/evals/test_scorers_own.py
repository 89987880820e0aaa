"""Own scorers run in the command's process: what they return is a score, whatever they do is only their own error."""

from __future__ import annotations

import asyncio
import enum
import os
import sys
import types
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from rondo.cli import own_deepeval, own_ragas
from rondo.cli.own_scorers import MOST_STUCK, Gateway, load, score
from rondo.errors import SettingsError
from rondo.evals.model import Result, Scored
from rondo.settings import own_code
from rondo.settings.evaluating import ScorerSettings
from rondo.settings.suites import project_file
from scorer_cases import case, chunk


@pytest.fixture(autouse=True)
def _modules() -> Iterator[None]:
    """Modules and paths are left as they were."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("rondo_own_", "tone", "own_helper", "ragas", "deepeval")):
            del sys.modules[name]


def settings(**values: Any) -> ScorerSettings:
    return ScorerSettings.model_validate({"kind": "python", "file": "scorers/tone.py", **values})


def written(folder: Path, source: str, name: str = "tone.py") -> Path:
    (folder / "scorers").mkdir(exist_ok=True)
    (folder / "scorers" / name).write_text(source, encoding="utf-8")
    return folder


def one_score(folder: Path, source: str, text: str = "14 days", **values: Any) -> Scored:
    (found,) = scores(written(folder, source), [text], **values)
    return found


def scores(folder: Path, texts: list[str], **values: Any) -> list[Scored]:
    made = load(folder, [settings(**values)])
    cases = [case(text, "14 days", metadata={"at": at}) for at, text in enumerate(texts)]
    results = [Result(target=0, example=each.example.id, repeat=0, answer=each.answer) for each in cases]
    examples = {each.example.id: each.example for each in cases}
    found = asyncio.run(score(made, results, examples))
    return [found[0, each.example.id, 0]["python"] for each in cases]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("True", Scored(value=1.0, passed=True)),
        ("False", Scored(value=0.0, passed=False, reason="It is 0.")),
        ("0.25", Scored(value=0.25)),
        ("1", Scored(value=1.0)),
        ("None", Scored(reason="The scorer had nothing to say.")),
        ("{'value': 0.5, 'reason': 'so so'}", Scored(value=0.5, reason="so so")),
        ("{'value': True, 'details': {'x': 1}}", Scored(value=1.0, passed=True, details={"x": 1})),
        ("{'value': 0.5, 'passed': True}", Scored(value=0.5, passed=True)),
        ("{'value': 0.5, 'cost_usd': 0.02}", Scored(value=0.5, cost_usd=0.02)),
        ("__import__('numpy').float32(0.5)", Scored(value=0.5)),
        ("__import__('numpy').bool_(True)", Scored(value=1.0, passed=True)),
    ],
)
@pytest.mark.parametrize("keyword", ["def", "async def"])
def test_what_functions_may_return(tmp_path: Path, keyword: str, returned: str, expected: Scored) -> None:
    assert one_score(tmp_path, f"{keyword} score(answer):\n    return {returned}\n") == expected


@pytest.mark.parametrize(
    ("returned", "error", "said"),
    [
        ("float('nan')", "not_a_number", "nan"),
        ("float('inf')", "wrong_type", "no share"),
        ("7", "wrong_type", "unit = 'score'"),
        ("'good'", "wrong_type", "returned str"),
        ("[1]", "wrong_type", "returned list"),
        ("{'values': 1}", "wrong_type", "Did you mean 'value'?"),
        ("{'value': 'x'}", "wrong_type", "returned str"),
        ("{'value': 1, 'passed': 'yes'}", "wrong_type", "`passed`"),
        ("{'value': 1, 'details': {'x': object()}}", "wrong_type", "JSON"),
        ("{'value': 1, 'details': [1]}", "wrong_type", "no dict"),
        ("{'value': 1, 'cost_usd': -0.5}", "wrong_type", "not dollars"),
        ("{'value': 1, 'cost_usd': float('nan')}", "wrong_type", "not dollars"),
        ("{'value': 1, 'cost_usd': '1'}", "wrong_type", "not dollars"),
    ],
)
def test_what_is_no_score_is_an_error(tmp_path: Path, returned: str, error: str, said: str) -> None:
    found = one_score(tmp_path, f"def score(answer):\n    return {returned}\n")
    assert (found.value, found.error) == (None, error)
    assert said in found.reason


def test_functions_get_what_they_ask_for(tmp_path: Path) -> None:
    source = """
def score(question, answer, expected, case, *, least=0.5):
    assert question == "How long can I return it?"
    assert (answer, expected) == ("14 days", "14 days")
    assert case["example"]["metadata"] == {"at": 0}
    assert case["example"]["tags"] == {}
    assert case["answer"]["chunks"] == []
    return True

def everything(**given):
    return sorted(given) == ["answer", "case", "expected", "question"]
"""
    assert one_score(tmp_path, source) == Scored(value=1.0, passed=True)
    assert one_score(tmp_path, source, function="everything").value == 1.0


@pytest.mark.parametrize("keyword", ["def", "async def"])
def test_what_throws_is_named_with_its_line_and_the_others_go_on(tmp_path: Path, keyword: str) -> None:
    source = f"{keyword} score(answer):\n    n = int(answer)\n    return 1 / n > 0\n"
    zero, text, good = scores(written(tmp_path, source), ["0", "x", "2"])
    assert (zero.value, zero.error) == (None, "scorer_failed")
    assert zero.reason == "scorers/tone.py:3: ZeroDivisionError: division by zero"
    assert text.reason.startswith("scorers/tone.py:2: ValueError: ")
    assert good.value == 1.0


def test_leaving_is_a_failed_score_and_printing_goes_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = "import sys\nprint('loading')\n\ndef score(answer):\n    print('scoring')\n    sys.exit(3)\n"
    found = one_score(tmp_path, source)
    assert (found.error, found.reason) == ("scorer_failed", "scorers/tone.py:6: RuntimeError: SystemExit(3)")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "loading\nscoring\n"


def test_what_hangs_is_given_up(tmp_path: Path) -> None:
    wait = "threading.Event().wait() if answer == 'hang' else None"
    source = f"import threading\n\ndef score(answer):\n    {wait}\n    return True\n"
    texts = ["fine", *["hang"] * MOST_STUCK, "fine"]
    found = scores(written(tmp_path, source), texts, timeout_s=0.01)
    assert found[0].value == 1.0
    assert [each.error for each in found[1:]] == ["timeout"] * (MOST_STUCK + 1)
    assert found[-1].reason == f"Given up: {MOST_STUCK} calls did not end in time."
    asynchronous = "import asyncio\n\nasync def score(answer):\n    await asyncio.Event().wait()\n"
    assert one_score(tmp_path, asynchronous, timeout_s=0.01).error == "timeout"


def test_plain_functions_are_never_called_twice_at_once(tmp_path: Path) -> None:
    source = """
busy = []
def score(answer):
    busy.append(1)
    alone = len(busy) == 1
    busy.pop()
    return alone
"""
    assert all(each.value == 1.0 for each in scores(written(tmp_path, source), ["x"] * 50))


def test_bounds_and_metrics_of_a_scorer(tmp_path: Path) -> None:
    source = "def score(answer):\n    return {'value': 3, 'details': {'warmth': 2.5}}\n"
    found = one_score(tmp_path, source, unit="score", at_least=4.0, metrics=["warmth"])
    assert (found.value, found.passed, found.details) == (3.0, False, {"warmth": 2.5})
    wrong = "def score(answer):\n    return {'value': 3, 'details': {'warmth': 'high'}}\n"
    assert one_score(tmp_path, wrong, unit="score", metrics=["warmth"]).error == "wrong_type"


def test_only_what_is_missing_is_scored(tmp_path: Path) -> None:
    made = load(written(tmp_path, "def score(answer):\n    return True\n"), [settings(name="a"), settings(name="b")])
    given = case("x")
    examples = {given.example.id: given.example}
    place = {"target": 1, "example": given.example.id, "repeat": 2}
    results = [
        Result(**place, answer=given.answer, scores={"a": Scored(value=0.0)}),  # type: ignore[arg-type]
        Result(target=0, example=given.example.id, repeat=0, error="upstream_error"),
    ]
    found = asyncio.run(score(made, results, examples))
    assert found == {(1, given.example.id, 2): {"b": Scored(value=1.0, passed=True)}}


def test_versions_cover_the_file(tmp_path: Path) -> None:
    def version(source: str, **values: Any) -> str:
        return load(written(tmp_path, source), [settings(**values)])[0].version

    first = version("def score(answer):\n    return True\n")
    assert first == version("def score(answer):\n    return True\n", name="other")
    assert first != version("def score(answer):\n    return False\n")
    assert first != version("def score(answer):\n    return True\n", at_least=0.5)


def test_versions_cover_what_the_file_imports(tmp_path: Path) -> None:
    source = "import own_helper\n\ndef score(answer):\n    return own_helper.WORD in answer\n"

    def version(word: str) -> str:
        written(tmp_path, f"WORD = {word!r}\n", "own_helper.py")
        return load(written(tmp_path, source), [settings()])[0].version

    first = version("14")
    assert first == version("14")
    assert first != version("15")


def test_a_file_whose_imports_have_changed_since_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "WORD = '14'\n", "own_helper.py")
    source = b"from own_helper import WORD\n\ndef score(answer):\n    return True\n"
    written(tmp_path, source.decode())
    held = own_code.hash_of("scorers/tone.py", source, partial(project_file, tmp_path))
    assert load(tmp_path, [settings(file_hash=held)])
    written(tmp_path, "WORD = '15'\n", "own_helper.py")
    with pytest.raises(SettingsError, match="or what it imports, has changed since the run began"):
        load(tmp_path, [settings(file_hash=held)])


def test_files_may_import_their_neighbours_and_be_changed(tmp_path: Path) -> None:
    written(tmp_path, "WORD = '14'\n", "own_helper.py")
    source = "from own_helper import WORD\n\ndef score(answer):\n    return WORD in answer\n"
    assert one_score(tmp_path, source).value == 1.0
    assert one_score(tmp_path, source.replace("in answer", "not in answer")).value == 0.0


@pytest.mark.parametrize(
    ("source", "values", "key", "said"),
    [
        ("def score(answer): return True", {"file": "scorers/tune.py"}, "file", "no such file"),
        ("def scor(answer): return True", {}, "function", "Did you mean 'scor'?"),
        ("def score(text): return True", {}, "function", "has a parameter `text`"),
        ("def score(answer)\n  return True", {}, "file", "scorers/tone.py:1: SyntaxError"),
        ("import nothing_of_the_kind\n", {}, "file", "scorers/tone.py:1: ModuleNotFoundError"),
        ("\nraise SystemExit(1)\n", {}, "file", "scorers/tone.py:2: SystemExit"),
        ("score = 7", {}, "function", "has no function `score`"),
    ],
)
def test_what_cannot_be_loaded_names_file_and_line(
    tmp_path: Path, source: str, values: dict[str, Any], key: str, said: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load(
            written(tmp_path, source),
            [settings(kind="python"), settings(**{"name": "second", **values})],
            file="suites/a.toml",
        )
    assert error.value.param in (f"scorers[1].{key}", f"scorers[0].{key}")
    assert said in str(error.value)


def test_links_do_not_lead_out_of_the_project(tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("def score(answer): return True\n", encoding="utf-8")
    project = tmp_path / "project"
    (project / "scorers").mkdir(parents=True)
    (project / "scorers" / "tone.py").symlink_to(outside)
    with pytest.raises(SettingsError, match="leads out of the project"):
        load(project, [settings()])


def test_scorers_of_the_server_are_passed_over(tmp_path: Path) -> None:
    assert load(tmp_path, [ScorerSettings(kind="exact"), ScorerSettings(kind="latency")]) == []


GATEWAY = Gateway("http://127.0.0.1:4000/", "rk-key")


def ragas_settings(**values: Any) -> ScorerSettings:
    return ScorerSettings.model_validate(
        {"kind": "ragas", "version": "0.4.3", "metric": "Faithfulness", "model": "judge", **values}
    )


def deepeval_settings(**values: Any) -> ScorerSettings:
    return ScorerSettings.model_validate(
        {"kind": "deepeval", "version": "4.3.1", "metric": "BiasMetric", "model": "judge", **values}
    )


def test_adapters_need_a_server_and_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (ragas_settings(), deepeval_settings()):
        with pytest.raises(SettingsError, match="asks its model through a server"):
            load(tmp_path, [each])
        monkeypatch.setitem(sys.modules, each.kind, None)
        with pytest.raises(SettingsError, match=rf"Install it with `pip install 'rondo\[{each.kind}\]'`"):
            load(tmp_path, [each], gateway=GATEWAY)


def module(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> types.ModuleType:
    made = types.ModuleType(name)
    vars(made).update(members)
    monkeypatch.setitem(sys.modules, name, made)
    return made


class FakeFaithfulness:
    """As Ragas's metrics are: made with an `llm`, and asked by keywords."""

    value: Any = 0.5

    def __init__(self, llm: Any, strict: bool = False) -> None:
        self.llm = llm

    async def ascore(self, user_input: str, response: str, retrieved_contexts: list[str], reference: str = "") -> Any:
        assert (user_input, response, retrieved_contexts) == (
            "How long can I return it?",
            "14 days",
            ["Within 14 days."],
        )
        return types.SimpleNamespace(value=self.value, reason=f"{self.llm} {reference}")


@pytest.fixture
def fake_ragas(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def llm_factory(model: str, *, client: Any) -> str:
        seen["client"] = client
        return f"llm {model}"

    module(monkeypatch, "ragas")
    module(monkeypatch, "ragas.embeddings")
    module(monkeypatch, "ragas.embeddings.base", embedding_factory=None)
    module(monkeypatch, "ragas.llms")
    module(monkeypatch, "ragas.llms.base", llm_factory=llm_factory)
    collections = module(
        monkeypatch, "ragas.metrics.collections", Faithfulness=FakeFaithfulness, __all__=["Faithfulness"]
    )
    module(monkeypatch, "ragas.metrics", collections=collections)
    monkeypatch.setattr("rondo.cli.own_ragas.metadata.version", lambda name: "0.4.3")
    monkeypatch.setenv("RAGAS_DO_NOT_TRACK", "false")
    return seen


def ragas_score(tmp_path: Path, text: str = "14 days", **values: Any) -> Scored:
    given = case(text, "14 days", answer={"chunks": [chunk(1, "Within 14 days.")]})
    made = load(tmp_path, [ragas_settings(**values)], gateway=GATEWAY)
    result = Result(target=0, example=given.example.id, repeat=0, answer=given.answer)
    found = asyncio.run(score(made, [result], {given.example.id: given.example}))
    return found[0, given.example.id, 0]["ragas"]


def test_ragas_is_asked_in_its_own_words(
    tmp_path: Path, fake_ragas: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ragas_score(tmp_path) == Scored(value=0.5, reason="llm judge 14 days")
    assert os.environ["RAGAS_DO_NOT_TRACK"] == "true"
    assert str(fake_ragas["client"].base_url) == "http://127.0.0.1:4000/v1/"
    assert fake_ragas["client"].api_key == "rk-key"
    monkeypatch.setattr(FakeFaithfulness, "value", float("nan"))
    assert ragas_score(tmp_path).error == "not_a_number"
    monkeypatch.setattr(FakeFaithfulness, "value", "high")
    assert ragas_score(tmp_path).error == "not_a_number"
    missing = ragas_score(tmp_path, "")
    assert (missing.error, missing.reason) == ("no_reference", "The example or the answer has no `response`.")


@pytest.mark.parametrize(
    ("values", "key", "said"),
    [
        ({"metric": "Faithfullness"}, "scorers[0].metric", "Did you mean 'Faithfulness'?"),
        ({"options": {"strictt": True}}, "scorers[0].options", "unexpected keyword"),
        ({"version": "0.4.2"}, "scorers[0].version", "0.4.3 is installed"),
        ({"version": "newest"}, "scorers[0].version", "newest"),
    ],
)
def test_wrong_settings_of_ragas(
    tmp_path: Path, fake_ragas: dict[str, Any], values: dict[str, Any], key: str, said: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load(tmp_path, [ragas_settings(**values)], gateway=GATEWAY)
    assert error.value.param == key
    assert said in str(error.value)


def test_what_adapters_ask_is_paid_for_by_the_run(
    tmp_path: Path, fake_ragas: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers of the gateway say what they cost; a case that fails has cost all the same."""
    whole = openai.DefaultAsyncHttpxClient
    told = {"x-rondo-cost-usd": "0.00250000"}
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=told, json={"data": []}))
    monkeypatch.setattr("openai.DefaultAsyncHttpxClient", lambda **given: whole(transport=transport, **given))

    async def ascore(self: Any, user_input: str) -> Any:
        await asyncio.gather(*(fake_ragas["client"].models.list() for _ in range(2)))
        return types.SimpleNamespace(value=0.5 if user_input != "x" else 1 / 0, reason="")

    monkeypatch.setattr(FakeFaithfulness, "ascore", ascore)
    assert ragas_score(tmp_path) == Scored(value=0.5, cost_usd=0.005)
    monkeypatch.setattr(own_ragas, "fields", lambda case: {"user_input": "x"})
    assert ragas_score(tmp_path).cost_usd == 0.005


def test_deepeval_is_asked_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Base:
        pass

    class BiasMetric(Base):
        made = 0

        def __init__(self, model: Any, evaluation_params: Any = None, threshold: float = 0.5) -> None:
            self.model, self.params = model, evaluation_params
            BiasMetric.made += 1

        async def a_measure(self, test: Any, _show_indicator: bool) -> None:
            self.score = 0.75 if test.actual_output == "14 days" else None
            self.reason = f"{self.model.get_model_name()} {test.retrieval_context} {self.params}"

    class Params(enum.Enum):
        INPUT = "input"

    class Llm:
        def __init__(self, name: str) -> None:
            self.model = self.load_model()  # type: ignore[attr-defined]

    metrics = module(monkeypatch, "deepeval.metrics", BaseMetric=Base, BiasMetric=BiasMetric)
    test_case = module(
        monkeypatch, "deepeval.test_case", SingleTurnParams=Params, LLMTestCase=types.SimpleNamespace, ToolCall=dict
    )
    module(monkeypatch, "deepeval", metrics=metrics, test_case=test_case)
    module(monkeypatch, "deepeval.models", DeepEvalBaseLLM=Llm)
    monkeypatch.setattr("rondo.cli.own_deepeval.metadata.version", lambda name: "4.3.1")
    for name in own_deepeval.QUIET:
        monkeypatch.setenv(name, "as it was")
    monkeypatch.setenv("CONFIDENT_API_KEY", "theirs")
    options = {"evaluation_params": ["input"]}
    made = load(tmp_path, [deepeval_settings(options=options)], gateway=GATEWAY)
    assert os.environ["DEEPEVAL_TELEMETRY_OPT_OUT"] == "YES"
    assert "CONFIDENT_API_KEY" not in os.environ
    cases = [case(text, answer={"chunks": [chunk(1, "A")]}, metadata={"at": text}) for text in ("14 days", "x")]
    results = [Result(target=0, example=each.example.id, repeat=0, answer=each.answer) for each in cases]
    found = asyncio.run(score(made, results, {each.example.id: each.example for each in cases}))
    first, second = (found[0, each.example.id, 0]["deepeval"] for each in cases)
    assert first == Scored(value=0.75, reason="judge ['A'] [<Params.INPUT: 'input'>]")
    assert (second.value, second.error) == (None, "not_a_number")
    assert BiasMetric.made == 3
    with pytest.raises(SettingsError, match="Did you mean 'input'"):
        load(tmp_path, [deepeval_settings(options={"evaluation_params": ["inputs"]})], gateway=GATEWAY)
    with pytest.raises(SettingsError, match=r"4\.3\.1 is installed"):
        load(tmp_path, [deepeval_settings(version="4.3.0")], gateway=GATEWAY)
    with pytest.raises(SettingsError, match="Did you mean 'BiasMetric'"):
        load(tmp_path, [deepeval_settings(metric="Bias")], gateway=GATEWAY)


def test_the_real_packages_have_the_metrics_that_are_documented() -> None:
    """Runs where the extras are installed: `pip install 'rondo[ragas,deepeval]'`."""
    pytest.importorskip("ragas")
    pytest.importorskip("deepeval")
    installed = {name: metadata.version(name) for name in ("ragas", "deepeval")}
    (ragas,) = load(Path(), [ragas_settings(version=installed["ragas"])], gateway=GATEWAY)
    asked = deepeval_settings(metric="FaithfulnessMetric", version=installed["deepeval"])
    (deepeval,) = load(Path(), [asked], gateway=GATEWAY)
    assert ragas.version != deepeval.version
