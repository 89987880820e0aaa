"""How Bedrock is reached: region, address, keys, and signatures that are worked out anew here, by AWS's description."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import quote

import pytest

from providers.asking import HELLO, Asker
from providers.vendors import Said, bedrock_stream, bedrock_whole
from rondo.errors import SettingsError, UpstreamUnreachable
from rondo.providers.base import ModelSpec, ProviderRequest
from rondo.providers.registry import Providers
from rondo.providers.upstream import Upstream
from scripted_upstream import Heard

PAIR = {
    "AWS_BEARER_TOKEN_BEDROCK": "",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
}
ARN = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-haiku-4-5-v1:0"


def signature(heard: Heard, secret: str, region: str) -> str:
    """AWS Signature Version 4 of a request as it came over the socket."""
    authorization = heard.headers["authorization"]
    signed = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    path, _, query = heard.path.partition("?")
    canonical = "\n".join(
        [
            "POST",
            quote(path, safe="/~"),  # escaped once more: the path is already escaped on the wire
            "&".join(sorted(query.split("&"))) if query else "",
            *(f"{name}:{' '.join(heard.headers[name].split())}" for name in signed),
            "",
            ";".join(signed),
            hashlib.sha256(heard.body).hexdigest(),
        ]
    )
    when = heard.headers["x-amz-date"]
    scope = f"{when[:8]}/{region}/bedrock/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", when, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + secret.encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["amazon.nova-pro-v1:0", ARN, "weird name/ä~"])
@pytest.mark.parametrize("token", ["", "session-token=="])
async def test_a_signature_holds_for_what_went_over_the_wire(
    asker: Asker, model: str, stream: bool, token: str
) -> None:
    secrets = {**PAIR, "AWS_SESSION_TOKEN": token} if token else PAIR
    play = (bedrock_stream if stream else bedrock_whole)(Said("x"))
    secrets = {name: value for name, value in secrets.items() if value}
    without = _without_bearer(asker)
    await without.send(
        "bedrock", play, stream=stream, secrets=secrets, model=model, region="eu-central-1", headers={"x-team": "a"}
    )
    heard = asker.upstream.last
    authorization = heard.headers["authorization"]
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert authorization.endswith(signature(heard, PAIR["AWS_SECRET_ACCESS_KEY"], "eu-central-1"))
    assert {"host", "x-amz-date"} <= set(authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";"))
    assert heard.headers.get("x-amz-security-token", "") == token
    assert heard.headers["x-team"] == "a"
    assert PAIR["AWS_SECRET_ACCESS_KEY"] not in str(heard)


class _WithoutBearer(Asker):
    """An environment in which only AWS keys are set."""

    async def send(self, vendor: str, play: Any, request: Any = None, **more: Any) -> Any:
        more["secrets"] = {"AWS_BEARER_TOKEN_BEDROCK": None, **more.get("secrets", {})}
        return await super().send(vendor, play, request, **more)


def _without_bearer(asker: Asker) -> Asker:
    made = _WithoutBearer(asker.upstream)
    made.connections = asker.connections
    return made


async def test_a_key_of_bedrocks_own_goes_as_a_bearer(asker: Asker) -> None:
    """Also where AWS keys are set, as with AWS's own clients."""
    await asker.send(
        "bedrock", bedrock_whole(Said("x")), secrets={"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"}
    )
    assert asker.upstream.last.headers["authorization"] == "Bearer bedrock-secret"
    assert "x-amz-date" not in asker.upstream.last.headers


async def test_an_arn_is_one_part_of_the_path(asker: Asker) -> None:
    await asker.send("bedrock", bedrock_whole(Said("x")), model=ARN)
    assert asker.upstream.last.path == f"/v1/model/{quote(ARN, safe='')}/converse"
    await asker.send("bedrock", bedrock_stream(Said("x")), model="a?b#c", stream=True)
    assert asker.upstream.last.path == "/v1/model/a%3Fb%23c/converse-stream"


def make(secrets: dict[str, str], **spec: Any) -> Any:
    fields: dict[str, Any] = {"name": "m", "provider": "bedrock", "model": "amazon.nova-pro-v1:0", **spec}
    return Providers(Upstream(), secret=secrets.get).make(ModelSpec(**fields))


KEY = {"AWS_BEARER_TOKEN_BEDROCK": "k"}


@pytest.mark.parametrize(
    ("secrets", "spec", "param"),
    [
        (KEY, {}, "models.m.region"),
        (KEY, {"region": "evil.example#"}, "models.m.region"),
        (KEY, {"region": "us-east-1.evil.example"}, "models.m.region"),
        ({**KEY, "AWS_REGION": "here"}, {}, "models.m.region"),
        (KEY, {"region": "us-east-1", "model": ""}, "models.m.model"),
        (KEY, {"region": "us-east-1", "model": ".."}, "models.m.model"),
        (KEY, {"region": "us-east-1", "base_url": "https://evil.example"}, "models.m.api_key_env"),
        (
            KEY,
            {"region": "us-east-1", "base_url": "https://x.execute-api.us-east-1.amazonaws.com"},
            "models.m.api_key_env",
        ),
        (
            KEY,
            {"region": "us-east-1", "base_url": "https://bedrock-runtime.us-west-2.amazonaws.com"},
            "models.m.api_key_env",
        ),
        (KEY, {"region": "us-east-1", "api_key_env": "OPENAI_API_KEY"}, "models.m.api_key_env"),
        (
            {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
            {"region": "us-east-1", "base_url": "https://evil.example"},
            "models.m.api_key_env",
        ),
    ],
)
def test_settings_that_cannot_be(secrets: dict[str, str], spec: dict[str, Any], param: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make(secrets, **spec)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("secrets", "spec"),
    [
        ({**KEY, "AWS_REGION": "us-gov-west-1"}, {}),
        (KEY, {"region": "eu-central-1"}),
        (KEY, {"region": "cn-north-1"}),
        (KEY, {"region": "us-east-1", "base_url": "https://bedrock-runtime-fips.us-east-1.amazonaws.com"}),
        (KEY, {"region": "us-east-1", "base_url": "https://vpce-1-2.bedrock-runtime.us-east-1.vpce.amazonaws.com"}),
        (
            {**KEY, "RONDO_KEY_HOSTS": "AWS_BEARER_TOKEN_BEDROCK=proxy.example"},
            {"region": "us-east-1", "base_url": "https://proxy.example"},
        ),
        (
            {"TEAM_KEY": "x", "RONDO_KEY_HOSTS": "TEAM_KEY=bedrock-runtime.us-east-1.amazonaws.com"},
            {"region": "us-east-1", "api_key_env": "TEAM_KEY"},
        ),
    ],
)
def test_settings_that_can_be(secrets: dict[str, str], spec: dict[str, Any]) -> None:
    assert make(secrets, **spec).missing_key is None


@pytest.mark.parametrize(
    ("secrets", "missing"),
    [({}, "AWS_BEARER_TOKEN_BEDROCK"), ({"AWS_ACCESS_KEY_ID": "a"}, "AWS_SECRET_ACCESS_KEY")],
)
async def test_a_missing_key_is_named(secrets: dict[str, str], missing: str) -> None:
    provider = make(secrets, region="us-east-1")
    assert provider.missing_key == missing
    with pytest.raises(UpstreamUnreachable, match=missing):
        await provider.send(ProviderRequest(path="/chat/completions", body=json.dumps({"messages": HELLO}).encode()))


def test_without_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rondo.providers.bedrock.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"rondo\[bedrock\]"):
        make(KEY, region="us-east-1")
