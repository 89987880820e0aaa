"""Which price a served model has: one's own, the list's at the provider's own address, or none that is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from rondo.catalog.engine import Catalog
from rondo.governance import projects
from rondo.providers.registry import Providers
from rondo.providers.upstream import Upstream
from rondo.releases import store
from rondo.releases.publish import OWN_PRICE, Publisher
from rondo.settings.tables import ModelSettings

OWN = {"input": 1.0, "output": 2.0}


@pytest.mark.parametrize(
    ("settings", "input_price"),
    [
        ({"provider": "openai", "model": "gpt-4o-mini"}, 0.15),
        ({"provider": "openai", "model": "gpt-4o-mini", "base_url": "http://127.0.0.1:9/v1"}, None),
        ({"provider": "openai", "model": "gpt-4o-mini", "base_url": "http://127.0.0.1:9/v1", "price": OWN}, 1.0),
        ({"provider": "openai", "model": "nobody-knows-it"}, None),
        ({"provider": "ollama", "model": "llama3.1:8b", "base_url": "http://127.0.0.1:9/v1"}, 0.0),
        ({"provider": "extractive"}, 0.0),
    ],
)
def test_the_price_of_a_model(
    catalog: Catalog, tmp_path: Path, settings: dict[str, object], input_price: float | None
) -> None:
    projects.create(catalog, "p", actor="test")
    definition = ModelSettings.model_validate(settings).model_dump(mode="json")
    with catalog.begin() as connection:
        store.save_model(connection, "p", "m", definition, 1)
    model = (
        Publisher(catalog, tmp_path, Providers(Upstream(), secret=lambda name: "x"), secret=bytes)
        .plan()
        .models["p", "m"]
    )
    assert (model.price.input if model.price else None) == input_price
    assert (model.price_version == OWN_PRICE) == ("price" in settings)
