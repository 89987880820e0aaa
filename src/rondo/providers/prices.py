"""List prices of models, from the vendored snapshot `prices.json` (made by scripts/update_prices.py).

Nothing is guessed: a model that is not listed has no price, and its cost is "unknown", never zero. Read where a plan
is published, not per request.
"""

from __future__ import annotations

import re
from importlib import resources

import msgspec
from msgspec import Struct

# They run on machines of one's own, or need none: what a call costs is known, and it is nothing.
FREE_PROVIDERS = frozenset({"extractive", "llamacpp", "ollama", "scripted", "vllm"})

# The list's names of providers, where they are other than ours.
_LISTED_AS = {"bedrock": "aws", "gemini": "google"}

_DATE = re.compile(r"(.+?)[-@](?:\d{4}-\d{2}-\d{2}|\d{8})")


class Price(Struct, frozen=True, kw_only=True):
    """US dollars per million tokens; output includes reasoning.

    None: the cache has no price of its own, and its tokens cost what input costs. `tiered`: the list has further
    prices; these are those of short prompts and of the dearest hour.
    """

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    tiered: bool = False


FREE = Price(input=0.0, output=0.0, cache_read=0.0, cache_write=0.0)


class _File(Struct):
    version: str
    providers: dict[str, dict[str, msgspec.Raw]]


class PriceBook:
    """One snapshot. Opens its file when first asked, and keeps it as text: prices are decoded when looked up."""

    def __init__(self, data: bytes | None = None) -> None:
        """`data` is the content of a `prices.json`; by default the one that came with Rondo."""
        self._data = data
        self._file: _File | None = None

    @property
    def version(self) -> str:
        """Its date and the start of its hash, `2026-11-21+40db37cb`; kept with every call that it priced."""
        return self._open().version

    def find(self, provider: str, model: str) -> Price | None:
        """The price of a provider's model id, or None where it is not listed.

        The id counts as it is, without the provider's own name before it (`openai/gpt-4o`), or, where the dated id is
        not listed, without a date at its end (`gpt-4o-2024-08-06`). Nothing else is tried.
        """
        if provider in FREE_PROVIDERS:
            return FREE
        models = self._open().providers.get(_LISTED_AS.get(provider, provider))
        if models is None:
            return None
        for name in _ids(provider, model):
            row = models.get(name)
            if row is not None:
                return _price(msgspec.json.decode(row, type=list[float | None]))
        return None

    def _open(self) -> _File:
        if self._file is None:
            data = self._data
            if data is None:
                data = (resources.files("rondo.providers") / "prices.json").read_bytes()
            self._file, self._data = msgspec.json.decode(data, type=_File), None
        return self._file


def _ids(provider: str, model: str) -> list[str]:
    plain = model.removeprefix(f"{provider}/")
    names = [model] if plain == model else [model, plain]
    return names + [dated[1] for name in names if (dated := _DATE.fullmatch(name))]


def _price(row: list[float | None]) -> Price:
    read, output, cache_read, cache_write, tiered = [*row, None, None, None, None, None][:5]
    return Price(
        input=read or 0.0, output=output or 0.0, cache_read=cache_read, cache_write=cache_write, tiered=bool(tiered)
    )
