"""An address that is none is an error of the settings, which leaves one app out of the plan and not all of them."""

from __future__ import annotations

import pytest

from rondo.errors import SettingsError
from rondo.providers.base import ModelSpec
from rondo.providers.registry import Providers
from rondo.providers.upstream import Upstream


@pytest.mark.parametrize("address", ["http://[bad", "http://host:99999/v1", "http://host:port/v1"])
def test_an_address_that_cannot_be_read(address: str) -> None:
    with pytest.raises(SettingsError, match=r"models\.main\.base_url"):
        Providers(Upstream()).make(ModelSpec(name="main", provider="openai", model="m", base_url=address))
