"""Keys are found by their makers' form, and passwords by the words before them. The keys here are made up."""

from __future__ import annotations

import pytest

from guarding import guards, over
from rondo.guards.secrets import KINDS, compiled

A = "aB3dE5gH7jK9mN1pQ3sT5vX7zA2cD4fG6hJ8"  # 36 characters that are nobody's key
FOUND = [
    ("openai", "sk-proj-" + A),
    ("openai", "sk-" + A),
    ("anthropic", "sk-ant-api03-" + A),
    ("openrouter", "sk-or-v1-" + "0123456789abcdef" * 4),
    ("rondo", "rondo_sk_" + A),
    ("stripe", "sk_" + "live_" + A[:24]),
    ("aws_access_key", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("github", "ghp_" + A),
    ("github", "github_pat_" + A + A),
    ("gitlab", "glpat-" + A[:20]),
    ("slack", "xoxb-" + "123456789012-" + A),
    ("slack", "https://hooks.slack.com/services/" + "T00000000/B00000000/" + A[:24]),
    ("google", "AIza" + A[:35]),
    ("npm", "npm_" + A),
    ("pypi", "pypi-AgEIcHlwaS5vcmc" + A),
    ("huggingface", "hf_" + A[:34]),
    ("groq", "gsk_" + A + A[:16]),
    ("sendgrid", "SG." + A[:22] + "." + A),
    ("digitalocean", "dop_v1_" + "0123456789abcdef" * 4),
    ("shopify", "shpat_" + "0123456789abcdef" * 2),
    ("databricks", "dapi" + "0123456789abcdef" * 2),
    ("telegram", "123456789:AA" + A[:33]),
    ("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + A),
]
IN_CONTEXT = [
    (
        "aws_secret_key",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ),
    ("azure", "AccountKey=" + A + "==;Endpoint", A + "=="),
    ("assigned", "my password is hunter2x!", "hunter2x"),
    ("assigned", 'OPENAI_API_KEY="zz9-plural-z-alpha"', "zz9-plural-z-alpha"),
    ("assigned", "Mein Passwort lautet Sommer2024", "Sommer2024"),
    ("assigned", "client_secret: " + A, A),
    ("url_password", "postgres://app:s3cret@db.example/x", "app:s3cret"),
]


@pytest.mark.parametrize(("kind", "secret"), FOUND)
@pytest.mark.parametrize("around", ["use {} now", "({})", "key:{}\n"])
def test_a_key_is_known_by_its_form(kind: str, secret: str, around: str) -> None:
    text = around.format(secret)
    found = compiled().find(text)
    assert [each.kind for each in found] == [kind]
    assert secret.removeprefix("https://") in text[found[0].start : found[0].end]


@pytest.mark.parametrize(("kind", "text", "value"), IN_CONTEXT)
def test_a_secret_is_known_by_the_words_before_it(kind: str, text: str, value: str) -> None:
    found = compiled().find(text)
    assert [(each.kind, text[each.start : each.end]) for each in found] == [(kind, value)]


@pytest.mark.parametrize("end", ["\n-----END RSA PRIVATE KEY-----", "", "\n-----END RSA"])
def test_a_private_key_is_found_to_its_end_or_as_far_as_it_goes(end: str) -> None:
    text = (
        f"here:\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\n{A}\n{A}=={end}"
    )
    (found,) = compiled().find(text)
    assert found.kind == "private_key"
    assert A not in text[: found.start] + text[found.end :]


@pytest.mark.parametrize(
    "text",
    [
        "I forgot my password. Is it case-sensitive?",
        "The password must be at least 8 characters, the token is required.",
        "My password is incorrect, password reset does not work",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "sk-short, ghp_short, the eyJoke. is.on me",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "https://host.example/a:b@c",
        "Where is the API key for my bike lock? The key: small and silver.",
    ],
)
def test_not_found(text: str) -> None:
    assert compiled().find(text) == []


def test_every_kind_is_tried_here() -> None:
    assert {*(kind for kind, _ in FOUND), *(kind for kind, *_ in IN_CONTEXT), "private_key"} == set(KINDS)


async def test_secrets_are_blotted_out() -> None:
    outcome = await over(guards({"check": "secrets", "action": "redact", "kinds": ["github"]}), f"a ghp_{A} b sk-{A}")
    assert outcome.texts == [f"a [GITHUB] b sk-{A}"]


@pytest.mark.parametrize(
    "text", ["-----BEGIN RSA PRIVATE KEY-----" * 500, "key=" * 5_000, "eyJ" * 7_000, "a.b@:" * 4_000]
)
def test_hostile_text_takes_no_time_to_speak_of(text: str) -> None:
    compiled().find(text)
