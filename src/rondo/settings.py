"""The only reader of `rondo.toml` and of the environment.

`rondo.toml` describes one app: what it is, which models it may use, where its documents are, what it must reach.
The environment holds only secrets and addresses. Every key has one sentence, which the documentation repeats.
An error names the file, the key, what is allowed and the nearest name.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from rondo.errors import SettingsError

FILE = "rondo.toml"

_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_ADDRESS = r"^https?://"
_VARIABLE = r"^[A-Z][A-Z0-9_]*$"
_IN_WORDS = {
    _NAME: "a name has 1 to 64 characters of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit",
    _ADDRESS: "an address begins with http:// or https://",
    _VARIABLE: "the name of a variable has A-Z, 0-9 and '_', and begins with a letter",
}

Name = Annotated[str, StringConstraints(pattern=_NAME)]
Params = dict[str, Any]


class Table(BaseModel):
    """A table of `rondo.toml`: unknown keys are errors, types are not converted, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


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

    @model_validator(mode="after")
    def one_bound(self) -> GoalSettings:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("set exactly one of `at_least` and `at_most`")
        return self


class PriceSettings(Table):
    """Your own price, in US dollars per million tokens; it replaces the list price."""

    input: float = Field(ge=0, description="Input tokens.")
    output: float = Field(ge=0, description="Output tokens, reasoning included.")
    cache_read: float | None = Field(None, ge=0, description="Input tokens read from the provider's cache.")
    cache_write: float | None = Field(None, ge=0, description="Input tokens written to the provider's cache.")


class ModelSettings(Table):
    """A named model: a provider, its model id, and defaults."""

    provider: Name = Field(description="A provider; `rondo models providers` lists them.")
    model: str = Field("", description="The provider's own model id.")
    base_url: str | None = Field(None, pattern=_ADDRESS, description="The address, if it is not the provider's own.")
    api_key_env: str | None = Field(
        None,
        pattern=_VARIABLE,
        description="The environment variable with the key, where it is not the provider's own (see RONDO_KEY_HOSTS).",
    )
    api_key_header: str = Field(
        "authorization", description="The header that carries the key (`api-key` for Azure); a bearer token by default."
    )
    headers: dict[str, str] = Field(default_factory=dict, description="More request headers; never secrets.")
    query: dict[str, str] = Field(default_factory=dict, description="Query parameters, e.g. Azure's `api-version`.")
    params: Params = Field(default_factory=dict, description="Request fields sent to this model.")
    timeout_s: float = Field(120.0, gt=0, le=3600, description="Longest silence while waiting for the model.")
    price: PriceSettings | None = Field(None, description="Your own price.")

    @model_validator(mode="after")
    def key_is_not_ours(self) -> ModelSettings:
        """Whoever may release names variables of the server; our own keys must not reach a host of theirs."""
        if self.api_key_env is not None and self.api_key_env.startswith("RONDO_"):
            raise ValueError(f"`api_key_env` cannot be {self.api_key_env}: it holds a secret of Rondo itself")
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


class ProjectSettings(Table):
    """A whole `rondo.toml`."""

    app: AppSettings
    use_case: UseCaseSettings = Field(default_factory=UseCaseSettings)
    goals: list[GoalSettings] = Field(default_factory=list)
    models: dict[Name, ModelSettings] = Field(min_length=1)
    knowledge: dict[Name, KnowledgeSettings] = Field(default_factory=dict)
    journal: JournalSettings = Field(default_factory=JournalSettings)
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)

    @model_validator(mode="after")
    def names_exist(self) -> ProjectSettings:
        for name in self.app.route:
            if name not in self.models:
                raise ValueError(f"app.route: no model is called {name!r}.{nearest(name, self.models)}")
        wanted = self.app.knowledge
        if wanted is not None and wanted not in self.knowledge:
            raise ValueError(f"app.knowledge: no knowledge is called {wanted!r}.{nearest(wanted, self.knowledge)}")
        return self


def parse(text: str, *, file: str = FILE) -> ProjectSettings:
    """Settings from the text of a `rondo.toml`. Raises SettingsError, which names the first wrong key."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not valid TOML: {error}.", file=file) from None
    try:
        return ProjectSettings.model_validate(values)
    except ValidationError as error:
        raise _explain(error, file) from None


def read(folder: Path) -> ProjectSettings:
    """Settings of the project in `folder`. Raises SettingsError."""
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError("no such file.", file=str(path), remedy="`rondo init NAME` makes a project.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}.", file=str(path)) from None
    return parse(text, file=str(path))


def model_settings(values: Mapping[str, Any], name: str) -> ModelSettings:
    """A model's table as it was kept. Raises SettingsError."""
    try:
        return ModelSettings.model_validate(values)
    except ValidationError as error:
        raise _explain(error, f"the model {name}") from None


def nearest(name: str, allowed: Mapping[str, object] | list[str]) -> str:
    """A sentence for errors: the closest allowed name, and all that are allowed."""
    names = sorted(allowed)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return f"{meant} Allowed: {', '.join(names) or 'none'}."


def _explain(error: ValidationError, file: str) -> SettingsError:
    # A misspelt key is also a missing one: the misspelling tells more.
    found = error.errors(include_url=False)
    first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    path = [str(part) for part in first["loc"] if part != "[key]"]
    key = ".".join(path) or None
    if first["type"] == "extra_forbidden":
        hint = nearest(path[-1], _keys_at(path[:-1]))
        return SettingsError(f"there is no such key.{hint}", file=file, param=key)
    if first["type"] == "missing":
        return SettingsError("this key is required.", file=file, param=key)
    if first["type"] == "value_error":
        return SettingsError(str(first["ctx"]["error"]).rstrip(".") + ".", file=file, param=key)
    message = _IN_WORDS.get(first.get("ctx", {}).get("pattern", ""), first["msg"])
    given = "" if isinstance(first["input"], dict) else f", not {first['input']!r:.200}"
    return SettingsError(f"{message}{given}.", file=file, param=key)


def _keys_at(path: list[str]) -> list[str]:
    """The keys allowed in the table at `path` (array positions and names of named tables are passed over)."""
    tables: dict[str, type[Table]] = {
        "app": AppSettings,
        "use_case": UseCaseSettings,
        "goals": GoalSettings,
        "models": ModelSettings,
        "knowledge": KnowledgeSettings,
        "journal": JournalSettings,
        "gateway": GatewaySettings,
    }
    if not path:
        return list(ProjectSettings.model_fields)
    table = PriceSettings if path[0] == "models" and path[-1] == "price" else tables[path[0]]
    return list(table.model_fields)


ENVIRONMENT: dict[str, str] = {
    "RONDO_URL": "Address of the server that commands talk to.",
    "RONDO_API_KEY": "Key that commands send.",
    "RONDO_DATA": "Data folder of the server; `.rondo` in the project's folder by default.",
    "RONDO_CATALOG_URL": "Database of the catalog (`postgresql+psycopg://...`); SQLite in the data folder by default.",
    "NO_COLOR": "Any value: commands print without colours.",
    "RONDO_ADMIN_KEY": "The admin key to create on first start, instead of a generated one.",
    "RONDO_KEY_HOSTS": "Further hosts that keys may be sent to: `VARIABLE=host[:port] ...`.",
    "OPENAI_API_KEY": "Key of the provider `openai`.",
    "AZURE_OPENAI_API_KEY": "Key of the provider `azure`.",
    "OPENROUTER_API_KEY": "Key of the provider `openrouter`.",
    "MISTRAL_API_KEY": "Key of the provider `mistral`.",
    "GROQ_API_KEY": "Key of the provider `groq`.",
    "DEEPSEEK_API_KEY": "Key of the provider `deepseek`.",
    "TOGETHER_API_KEY": "Key of the provider `together`.",
}


def environment(name: str) -> str | None:
    """A variable's value, or None where it is unset or empty. Models may name further ones by `api_key_env`."""
    return os.environ.get(name) or None
