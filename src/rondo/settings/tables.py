"""What a `rondo.toml` may hold: a table each, with one sentence for every key, which the documentation repeats.

`rondo.toml` describes one app: what it is, which models it may use, where its documents are, what it must reach.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from rondo.settings.alerting import AlertsSettings
from rondo.settings.drift import DriftSettings
from rondo.settings.evaluating import GateSettings, JudgeSettings, ReviewSettings, RubricSettings, SelectionSettings
from rondo.settings.live import LiveSettings
from rondo.settings.rollout import RolloutSettings
from rondo.settings.table import ADDRESS, VARIABLE, Name, Params, Table, nearest, one_or_more
from rondo.settings.telemetry import TelemetrySettings, TracesSettings


class AppSettings(Table):
    """What users call: `model = "<name>"` in any OpenAI client."""

    name: Name = Field(description="The name clients send as `model`.")
    prompt: str = Field(description="The prompt file, relative to this file.")
    route: list[Name] = Field(min_length=1, description="Models tried in this order; the next one when one fails.")
    knowledge: Name | None = Field(None, description="The knowledge that answers are drawn from.")
    hand_over: str = Field(
        "I can't answer that reliably, so I'm passing you to a colleague.",
        description="The answer when nothing in the knowledge matches well enough.",
    )
    params: Params = Field(default_factory=dict, description="Request fields sent to every model of the route.")
    total_timeout_s: float | None = Field(
        None, gt=0, le=7200, description="Longest time for an answer, all tries of all models together."
    )


class UseCaseSettings(Table):
    """What the app is for and what the work costs today; the base of the return on investment."""

    summary: str = Field("", description="One line about the use case.")
    tickets_per_month: float | None = Field(None, ge=0, description="How many requests people handle today.")
    minutes_per_ticket: float | None = Field(None, ge=0, description="How long one takes a person.")
    agent_cost_per_hour_usd: float | None = Field(None, ge=0, description="What an hour of a person costs.")


class GoalSettings(Table):
    """A metric and the value it must reach."""

    metric: str = Field(description="For example `latency.p95_ms`, `cost.per_request_usd`, `errors.rate`.")
    at_least: float | None = Field(None, description="Met when the metric is at least this.")
    at_most: float | None = Field(None, description="Met when the metric is at most this.")
    margin: float | None = Field(
        None,
        gt=0,
        description="How far beyond the bound the interval may reach, and the smallest change that counts as one;"
        " a tenth of the bound by default.",
    )
    guarded: bool = Field(True, description="Whether a release that is significantly worse in it may not take traffic.")
    weight: float = Field(1.0, ge=0, le=1000, description="How much it counts when models are compared.")

    @model_validator(mode="after")
    def one_bound(self) -> GoalSettings:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("set exactly one of `at_least` and `at_most`")
        return self


def refuse_own_key(variable: str | None) -> None:
    """Whoever may release names variables of the server; our own keys must not reach a host of theirs."""
    if variable is not None and variable.startswith("RONDO_"):
        raise ValueError(f"`api_key_env` cannot be {variable}: it holds a secret of Rondo itself")


class PriceSettings(Table):
    """Your own price, in US dollars per million tokens; it replaces the list price."""

    input: float = Field(ge=0, description="Input tokens.")
    output: float = Field(ge=0, description="Output tokens, reasoning included.")
    cache_read: float | None = Field(None, ge=0, description="Input tokens read from the provider's cache.")
    cache_write: float | None = Field(None, ge=0, description="Input tokens written to the provider's cache.")


class DeploymentSettings(Table):
    """One address of a model that is served at several. What it leaves out is as the model has it."""

    base_url: str | None = Field(None, pattern=ADDRESS, description="The address.")
    model: str | None = Field(None, description="The model id at this address.")
    api_key_env: str | None = Field(None, pattern=VARIABLE, description="The environment variable with its key.")
    region: str | None = Field(None, description="The cloud region, for `bedrock`.")
    weight: float = Field(1.0, gt=0, le=1_000_000, description="Its share of the calls, beside the others' weights.")

    @model_validator(mode="after")
    def key_is_not_ours(self) -> DeploymentSettings:
        refuse_own_key(self.api_key_env)
        return self


class ModelSettings(Table):
    """A named model: a provider, its model id, and defaults."""

    provider: Name = Field(description="A provider; `rondo models providers` lists them.")
    model: str = Field("", description="The provider's own model id.")
    base_url: str | None = Field(None, pattern=ADDRESS, description="The address, if it is not the provider's own.")
    api_key_env: str | None = Field(
        None,
        pattern=VARIABLE,
        description="The environment variable with the key, where it is not the provider's own (see RONDO_KEY_HOSTS).",
    )
    api_key_header: str = Field(
        "authorization",
        description="The header that carries the key, if not the provider's own; `authorization` is a bearer token.",
    )
    headers: dict[str, str] = Field(default_factory=dict, description="More request headers; never secrets.")
    query: dict[str, str] = Field(default_factory=dict, description="Query parameters, e.g. Azure's `api-version`.")
    params: Params = Field(default_factory=dict, description="Request fields sent to this model.")
    region: str | None = Field(None, description="The cloud region, for `bedrock`.")
    timeout_s: float = Field(120.0, gt=0, le=3600, description="Longest silence while waiting for the model.")
    first_token_timeout_s: float | None = Field(
        None, gt=0, le=3600, description="Longest wait for the first event of a stream, or for a whole answer to begin."
    )
    try_timeout_s: float | None = Field(None, gt=0, le=3600, description="Longest time for one try, start to end.")
    retries: int = Field(
        1, ge=0, le=10, description="Further tries on this model before the next of the route takes over."
    )
    max_concurrent: int | None = Field(None, ge=1, description="Calls at the same time; more wait in the queue.")
    queue: int = Field(100, ge=0, description="Calls that may wait; more get 429 at once.")
    queue_timeout_s: float = Field(10.0, gt=0, le=600, description="Longest wait in the queue; then 503.")
    hedge_after_s: float | None = Field(
        None, gt=0, le=600, description="Ask a second time when nothing has come by then; the first to answer wins."
    )
    balance: Literal["weighted", "least_busy"] = Field(
        "weighted", description="How calls are spread over the deployments: by weight, or to the least busy one."
    )
    deployments: list[DeploymentSettings] = Field(
        default_factory=list, description="The same model at several addresses; without any, the model's own."
    )
    max_output_tokens: int | None = Field(
        None,
        ge=1,
        description="Longest answer: sent as `max_tokens` where a budget applies and a client sets none.",
    )
    price: PriceSettings | None = Field(None, description="Your own price.")
    licence: str | None = Field(None, max_length=100, description="Its licence, for `rondo compare`, e.g. `mit`.")
    context_window: int | None = Field(None, ge=1, description="Tokens that it can read, for `rondo compare`.")
    metrics_url: str | None = Field(
        None,
        pattern=ADDRESS,
        description="Where its server, or the GPU's exporter, tells of itself to Prometheus; for the dashboards.",
    )

    @model_validator(mode="after")
    def key_is_not_ours(self) -> ModelSettings:
        refuse_own_key(self.api_key_env)
        return self


class KnowledgeSettings(Table):
    """Documents the app answers from."""

    sources: list[str] = Field(min_length=1, description="Files and folders, relative to this file.")
    chunk_chars: int = Field(1000, ge=100, le=20_000, description="Longest chunk, in characters.")
    overlap_chars: int = Field(100, ge=0, le=5_000, description="Characters that neighbouring chunks share.")
    top_k: int = Field(5, ge=1, le=50, description="How many chunks are put before the model.")

    @model_validator(mode="after")
    def overlap_is_smaller(self) -> KnowledgeSettings:
        if self.overlap_chars >= self.chunk_chars:
            raise ValueError("`overlap_chars` must be smaller than `chunk_chars`")
        return self


class RuleSettings(Table):
    """When the condition holds, these models answer in place of the app's route. The first rule that holds counts."""

    when: str = Field(min_length=1, description="A condition over what is known of the request, e.g. `input.pii`.")
    use: Name | list[Name] = Field(description="The model, or models in the order they are tried.")


class ClassifierSettings(Table):
    """A small classifier for `[[rules]]`, trained from labelled examples when a release is made."""

    examples: str = Field(description="A CSV or JSONL file with the columns `text` and `label`.")


class GuardSettings(Table):
    """A check of what goes in or comes out, and what happens when it finds something."""

    check: Literal[
        "pii", "names", "secrets", "injection", "words", "length", "schema", "moderation", "classifier", "judge"
    ] = Field(description="What is looked for.")
    on: list[Literal["input", "output"]] = Field(
        default=["input"], min_length=1, description="Where: `input`, `output`, or both."
    )
    action: Literal["flag", "redact", "route", "block"] = Field(
        "flag",
        description="`flag` records it, `redact` blots it out, `route` asks `use`, `block` gives `answer`.",
    )
    answer: str | None = Field(None, description="What a blocked request is answered; by default, the app's hand-over.")
    use: Name | list[Name] | None = Field(None, description="The models of `route`, in the order they are tried.")
    kinds: list[str] | None = Field(None, description="Which kinds `pii`, `names` or `secrets` looks for; all of them.")
    pseudonyms: bool = Field(
        False, description="`redact` puts a token in the place of each value, and the value back into the answer."
    )
    words: list[str] | None = Field(None, description="Words and phrases that `words` looks for.")
    words_file: str | None = Field(None, description="A file with one of them in each line.")
    patterns: list[str] | None = Field(None, description="Regular expressions (RE2) that `words` looks for.")
    max_chars: int | None = Field(None, ge=1, description="Longest text for `length`.")
    json_schema: dict[str, Any] | None = Field(
        None, description="The JSON Schema of answers for `schema`; by default, the prompt's own output schema."
    )
    repair: bool = Field(True, description="Whether `schema` asks the model once to mend its answer.")
    model: Name | None = Field(None, description="The model for `moderation` or `judge`.")
    question: str | None = Field(None, description="What `judge` asks about the text; the answer yes is a finding.")
    classifier: Name | None = Field(None, description="The table `[classifiers.NAME]` for `classifier`.")
    labels: list[str] | None = Field(None, description="The labels of `classifier` that are findings.")
    at_least: float = Field(
        0.5, ge=0, le=1, description="Score from which `moderation`, `injection`, `names` or `classifier` is a finding."
    )


class SemanticCacheSettings(Table):
    """Answers of questions that mean the same."""

    model: Name = Field(description="The model that embeds questions.")
    at_least: float = Field(0.95, gt=0, le=1, description="Cosine similarity from which two questions are the same.")
    across_users: bool = Field(False, description="Whether one user may get the answer to another's question.")


class CacheSettings(Table):
    """Answers given before, given again without a call to the model."""

    ttl_s: float = Field(gt=0, le=31_536_000, description="How long an answer may be given again.")
    across_users: bool = Field(True, description="Whether one user may get an answer made for another's same request.")
    semantic: SemanticCacheSettings | None = Field(None, description="Also for questions that only mean the same.")


class LimitsSettings(Table):
    """How limits and budgets behave; `rondo limits` sets them."""

    fail: Literal["closed", "open"] = Field(
        "closed", description="While Redis is away: `closed` refuses requests that have a limit, `open` lets them pass."
    )


class JournalSettings(Table):
    """How hard an answer's record is kept before the answer's last byte leaves."""

    durability: Literal["process", "power"] = Field(
        "process", description='"process" survives the death of the process, "power" also of the machine (fsync).'
    )
    segment_mb: int = Field(64, ge=1, le=1024, description="Size at which a new segment file begins.")
    min_free_mb: int = Field(64, ge=1, description="Below this much free disk, new requests are refused with 503.")


class GatewaySettings(Table):
    """Limits of the front door."""

    max_body_mb: int = Field(20, ge=1, le=512, description="Largest request body.")
    connect_timeout_s: float = Field(10.0, gt=0, le=120, description="Longest wait for a provider's connection.")
    total_timeout_s: float = Field(
        600.0, gt=0, le=7200, description="Longest time for an answer, where the app does not say."
    )
    breaker_failures: int = Field(
        5, ge=1, description="Failures in a row of one deployment after which it is left alone for a while."
    )
    breaker_open_s: float = Field(15.0, gt=0, le=3600, description="How long it is left alone before a probe.")
    cache_mb: int = Field(64, ge=1, le=65_536, description="Memory for cached answers, in each process.")


class BatchesSettings(Table):
    """How large files and batches may be, and how fast batches go."""

    max_file_mb: int = Field(200, ge=1, le=4096, description="Largest file of requests.")
    max_requests: int = Field(50_000, ge=1, le=1_000_000, description="Most requests of one batch.")
    concurrent: int = Field(8, ge=1, le=1_000, description="Requests at the same time, of all batches together.")


class ProjectSettings(Table):
    """A whole `rondo.toml`."""

    app: AppSettings
    use_case: UseCaseSettings = Field(default_factory=UseCaseSettings)
    goals: list[GoalSettings] = Field(default_factory=list)
    models: dict[Name, ModelSettings] = Field(min_length=1)
    knowledge: dict[Name, KnowledgeSettings] = Field(default_factory=dict)
    rules: list[RuleSettings] = Field(default_factory=list)
    classifiers: dict[Name, ClassifierSettings] = Field(default_factory=dict)
    guards: list[GuardSettings] = Field(default_factory=list)
    cache: CacheSettings | None = None
    judges: dict[Name, JudgeSettings] = Field(default_factory=dict)
    rubrics: dict[Name, RubricSettings] = Field(default_factory=dict)
    gate: GateSettings | None = None
    rollout: RolloutSettings | None = None
    live: LiveSettings | None = None
    alerts: AlertsSettings = Field(default_factory=AlertsSettings)
    drift: DriftSettings | None = None
    reviews: ReviewSettings = Field(default_factory=ReviewSettings)
    selection: SelectionSettings = Field(default_factory=SelectionSettings)
    limits: LimitsSettings = Field(default_factory=LimitsSettings)
    journal: JournalSettings = Field(default_factory=JournalSettings)
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    batches: BatchesSettings = Field(default_factory=BatchesSettings)
    traces: TracesSettings = Field(default_factory=TracesSettings)
    telemetry: TelemetrySettings | None = None

    @model_validator(mode="after")
    def names_exist(self) -> ProjectSettings:
        for name in self.app.route:
            if name not in self.models:
                raise ValueError(f"app.route: no model is called {name!r}.{nearest(name, self.models)}")
        for key, name in self.named_models():
            if name not in self.models:
                raise ValueError(f"{key}: no model is called {name!r}.{nearest(name, self.models)}")
        for at, guard in enumerate(self.guards):
            if guard.classifier is not None and guard.classifier not in self.classifiers:
                hint = nearest(guard.classifier, self.classifiers)
                raise ValueError(f"guards[{at}].classifier: no classifier is called {guard.classifier!r}.{hint}")
        for key, rubric in self.named_rubrics():
            if rubric not in self.rubrics:
                raise ValueError(f"{key}: no rubric is called {rubric!r}.{nearest(rubric, self.rubrics)}")
        wanted = self.app.knowledge
        if wanted is not None and wanted not in self.knowledge:
            raise ValueError(f"app.knowledge: no knowledge is called {wanted!r}.{nearest(wanted, self.knowledge)}")
        self.alerts.check_goals([goal.metric for goal in self.goals])
        return self

    def named_models(self) -> list[tuple[str, str]]:
        """(key, name) of every model that rules, guards, the cache and judges refer to."""
        found = [(f"rules[{at}].use", name) for at, rule in enumerate(self.rules) for name in one_or_more(rule.use)]
        for at, guard in enumerate(self.guards):
            found += [(f"guards[{at}].use", name) for name in one_or_more(guard.use)]
            found += [(f"guards[{at}].model", name) for name in one_or_more(guard.model)]
        if self.cache is not None and self.cache.semantic is not None:
            found.append(("cache.semantic.model", self.cache.semantic.model))
        found += [(f"judges.{name}.model", judge.model) for name, judge in self.judges.items()]
        return found

    def named_rubrics(self) -> list[tuple[str, str]]:
        """(key, name) of every rubric that judges and reviews refer to."""
        found = [(f"judges.{name}.rubric", judge.rubric) for name, judge in self.judges.items()]
        found.append(("reviews.rubric", self.reviews.rubric))
        return [(key, name) for key, name in found if name is not None]
