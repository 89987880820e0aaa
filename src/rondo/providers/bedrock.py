"""Amazon Bedrock's models by its `Converse` API, translated both ways.

Keys come from the environment alone: no profile, no file and no instance metadata is asked. An API key of Bedrock's
(AWS_BEARER_TOKEN_BEDROCK) goes as a bearer token; a pair of AWS keys signs each request.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from urllib.parse import quote, urlencode

from rondo.errors import InvalidRequest
from rondo.providers.access import Access, Secret, access, targets, wrong
from rondo.providers.base import ModelSpec, ProviderRequest, Reply
from rondo.providers.bedrock_answer import STATUSES, EventsFromBedrock, from_bedrock
from rondo.providers.bedrock_request import to_bedrock
from rondo.providers.bedrock_sign import Signer
from rondo.providers.translated import TranslatedReply, refusal
from rondo.providers.upstream import Upstream

BEARER = "AWS_BEARER_TOKEN_BEDROCK"
KEY_ID = "AWS_ACCESS_KEY_ID"
SECRET_KEY = "AWS_SECRET_ACCESS_KEY"  # noqa: S105
SUMMARY = "Amazon Bedrock: `region` or AWS_REGION; needs `rondo[bedrock]`."
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]{2,16}){1,3}-\d{1,2}")


class Bedrock:
    """One model of Bedrock's."""

    def __init__(self, spec: ModelSpec, upstream: Upstream, secret: Secret) -> None:
        """Raises SettingsError where there is no region or model, or where the key may not be sent to its address."""
        if find_spec("botocore") is None:
            raise wrong(spec, "provider", "it needs botocore", remedy='Install it: pip install "rondo[bedrock]".')
        if not spec.model.strip("."):
            raise wrong(spec, "model", f"{spec.model!r} is no model of Bedrock's", remedy="Set its id or its ARN.")
        self._name, self._model = spec.name, spec.model
        region = spec.region or secret("AWS_REGION") or ""
        if not _REGION.fullmatch(region):
            what = f"{region!r} is no region of AWS" if region else "it is missing"
            raise wrong(
                spec, "region", what, remedy="Set it, or AWS_REGION in the server's environment: us-east-1, say."
            )
        base_url = (spec.base_url or f"https://{_host(region)}").rstrip("/")
        self._access, self._signer = _authorized(spec, base_url, region, secret)
        self.missing_key = self._access.missing_key
        path = f"{base_url}/model/{quote(spec.model, safe='')}"
        query = f"?{urlencode(spec.query)}" if spec.query else ""
        urls = (f"{path}/converse{query}", f"{path}/converse-stream{query}")
        whole, streamed = targets(upstream, spec, self._access.headers, *urls)
        self._places = {False: (urls[0], whole), True: (urls[1], streamed)}

    async def send(self, request: ProviderRequest) -> Reply:
        """Raises InvalidRequest for what Bedrock has no word for."""
        self._access.require_key(self._name)
        if request.path != "/chat/completions":
            raise InvalidRequest(
                f"Rondo asks Bedrock by its Converse API, which has no {request.path}.",
                param="model",
                remedy="Use a model of another provider for it.",
            )
        body = to_bedrock(request.body, self._model)
        url, target = self._places[request.stream]
        reply = await target.post(body, self._signer.sign(url, body) if self._signer is not None else None)
        if reply.status != 200:
            return refusal(reply, _status(reply), await reply.read())
        return TranslatedReply(
            reply,
            whole=lambda answer: from_bedrock(answer, self._model),
            stream=EventsFromBedrock(self._model),
            streamed=request.stream,
        )


def _authorized(spec: ModelSpec, base_url: str, region: str, secret: Secret) -> tuple[Access, Signer | None]:
    """A bearer token among the headers, or who signs."""
    variable = spec.api_key_env or (KEY_ID if secret(BEARER) is None and secret(KEY_ID) else BEARER)
    gate = access(spec, base_url, variable, own=_own_hosts(region), secret=secret)
    if variable != KEY_ID or gate.missing_key:
        return gate, None
    unsigned = dict(spec.headers)  # the id of a key is part of the signature, and no header of its own
    secret_key = secret(SECRET_KEY)
    if secret_key is None:
        return Access(unsigned, SECRET_KEY), None
    return Access(unsigned), Signer(secret(KEY_ID) or "", secret_key, secret("AWS_SESSION_TOKEN"), region)


def _status(reply: Reply) -> int:
    """Bedrock's status, or what the kind of its error means where the two differ."""
    kind = (reply.headers.get("x-amzn-errortype") or "").partition(":")[0]
    if reply.status in (400, 424):
        return STATUSES.get(kind[:1].lower() + kind[1:], 502 if reply.status == 424 else reply.status)
    return reply.status


def _host(region: str) -> str:
    return f"bedrock-runtime.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def _own_hosts(region: str) -> dict[str, tuple[str, ...]]:
    """Bedrock's own hosts of the region, and no other of AWS's, where anybody may have one."""
    host = _host(region)
    rest = host.removeprefix("bedrock-runtime.")
    hosts = (host, f"bedrock-runtime-fips.{rest}", f".bedrock-runtime.{region}.vpce.amazonaws.com")
    return {BEARER: hosts, KEY_ID: hosts}
