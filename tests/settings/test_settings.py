"""`rondo.toml`: what is wrong is named with file and key, what is allowed, and the nearest name; nothing is guessed."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.errors import SettingsError
from rondo.settings.environment import ENVIRONMENT, environment
from rondo.settings.project import parse, read

GOOD = (files("rondo") / "templates" / "support-bot" / "rondo.toml").read_text(encoding="utf-8")


def refused(old: str, new: str) -> SettingsError:
    assert old in GOOD
    with pytest.raises(SettingsError) as error:
        parse(GOOD.replace(old, new, 1))
    assert error.value.message.startswith("rondo.toml: ")
    return error.value


def test_the_template_is_sound() -> None:
    settings = parse(GOOD)
    assert settings.app.route == ["baseline"]
    assert settings.knowledge["handbook"].top_k == 5


@pytest.mark.parametrize(
    ("old", "new", "key", "nearest"),
    [
        ("prompt =", "promt =", "app.promt", "prompt"),  # the required key is missing too; its misspelling tells more
        ("[app]", "[ap]", "ap", "app"),
        ("at_most = 2000", "at_most = 2000\nat_mst = 1", "goals.0.at_mst", "at_most"),
        ("top_k = 5", "topk = 5", "knowledge.handbook.topk", "top_k"),
        (
            'model = "gpt-4o-mini"',
            "price = { input = 1, output = 2, cache_raed = 1 }",
            "models.main.price.cache_raed",
            "cache_read",
        ),
    ],
)
def test_a_misspelt_key_is_named_with_the_nearest_one(old: str, new: str, key: str, nearest: str) -> None:
    error = refused(old, new)
    assert error.param == key
    assert f"Did you mean '{nearest}'? Allowed: " in str(error)


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("top_k = 5", 'top_k = "5"', "knowledge.handbook.top_k", "a valid integer, not '5'"),
        ("top_k = 5", "top_k = true", "knowledge.handbook.top_k", "a valid integer, not True"),
        ("top_k = 5", "top_k = 51", "knowledge.handbook.top_k", "less than or equal to 50"),
        ("tickets_per_month = 5000", "tickets_per_month = inf", "use_case.tickets_per_month", "finite"),
        ("tickets_per_month = 5000", "tickets_per_month = nan", "use_case.tickets_per_month", "not nan"),
        ("at_most = 2000", "at_most = inf", "goals.0.at_most", "finite"),
        ("at_most = 2000", "", "goals.0", "exactly one of `at_least` and `at_most`."),
        ('name = "support-bot"', 'name = "Support Bot"', "app.name", "1 to 64 characters of a-z"),
        ('name = "support-bot"', "name = 7", "app.name", "a valid string, not 7"),
        ('route = ["baseline"]', 'route = "baseline"', "app.route", "a valid list"),
        ('route = ["baseline"]', 'route = ["basline"]', None, "Did you mean 'baseline'?"),
        ('knowledge = "handbook"', 'knowledge = "handbok"', None, "Did you mean 'handbook'?"),
        ("[models.private]", '[models."X Y"]', "models.X Y", "1 to 64 characters"),
        ('provider = "ollama"', 'provider = "ollama"\nbase_url = "ftp://x"', "models.private.base_url", "https://"),
        ("overlap_chars = 100", "overlap_chars = 1000", "knowledge.handbook", "smaller than `chunk_chars`"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(old: str, new: str, key: str | None, says: str) -> None:
    error = refused(old, new)
    assert error.param == key
    assert says in str(error)


@pytest.mark.parametrize("name", [name for name in ENVIRONMENT if name.startswith("RONDO_")])
def test_a_model_cannot_send_rondos_own_secrets_to_its_host(name: str) -> None:
    error = refused('provider = "ollama"', f'provider = "ollama"\napi_key_env = "{name}"')
    assert error.param == "models.private"
    assert name in str(error)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"rondo\.toml: no such file. `rondo init NAME` makes a project"):
        read(tmp_path)
    (tmp_path / "rondo.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"rondo\.toml: cannot be read"):
        read(tmp_path)


@given(st.text(max_size=200))
def test_any_text_is_a_clear_error(text: str) -> None:
    with pytest.raises(SettingsError, match=r"rondo\.toml: "):
        parse(text)


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONDO_URL", "")
    assert environment("RONDO_URL") is None
