"""`[cache]` on its way into a manifest and out of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rondo.cache.declared import compiled, declared
from rondo.cache.model import CachePolicy, SemanticPolicy
from rondo.errors import CorruptData
from rondo.settings.project import parse

TOML = '[app]\nname = "bot"\nprompt = "a.md"\nroute = ["main"]\n[models.main]\nprovider = "openai"\n'


@pytest.mark.parametrize(
    ("more", "policy"),
    [
        ("", None),
        ("[cache]\nttl_s = 60.0", CachePolicy(ttl_s=60)),
        ("[cache]\nttl_s = 60.0\nacross_users = false", CachePolicy(ttl_s=60, across_users=False)),
        (
            '[cache]\nttl_s = 60.0\n[cache.semantic]\nmodel = "main"\nat_least = 0.9',
            CachePolicy(ttl_s=60, semantic=SemanticPolicy(model="main", at_least=0.9)),
        ),
    ],
)
def test_into_a_manifest_and_out_of_it(more: str, policy: CachePolicy | None) -> None:
    values = json.loads(json.dumps(declared(parse(TOML + more))))
    assert compiled(values) == policy


@pytest.mark.parametrize("values", [3, {}, {"ttl_s": "x"}, {"ttl_s": 1, "semantic": {"model": "m"}}])
def test_a_manifest_that_is_damaged(values: Any) -> None:
    with pytest.raises(CorruptData):
        compiled(values)
