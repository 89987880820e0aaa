"""Azure OpenAI: OpenAI's dialect at an address that names a deployment, or on the newer v1 API.

| `base_url` | where requests go |
|---|---|
| of the resource, with `query.api-version` | `/openai/deployments/MODEL/chat/completions?api-version=…` |
| of the resource, without | `/openai/v1/chat/completions`, the deployment as `model` |
| `…/openai/v1` | the same |
| `…/openai/deployments/DEPLOYMENT` | that deployment, whatever `model` says |
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from rondo.providers.access import Secret, access, targets, wrong
from rondo.providers.base import ModelSpec
from rondo.providers.openai import PATHS, OpenAIWire
from rondo.providers.upstream import Upstream

KEY = "AZURE_OPENAI_API_KEY"
SUMMARY = "Azure OpenAI: `base_url` of the resource, the deployment as `model`."
HOSTS = {KEY: (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")}


class Azure(OpenAIWire):
    """One deployment of Azure's."""

    def __init__(self, spec: ModelSpec, upstream: Upstream, secret: Secret) -> None:
        """Raises SettingsError where the address is missing or none, or where the key may not be sent there."""
        if spec.base_url is None:
            raise wrong(spec, "base_url", "azure has no address of its own", remedy="Set it to your resource's.")
        gate = access(spec, spec.base_url, spec.api_key_env or KEY, own=HOSTS, secret=secret, header="api-key")
        root = _root(spec)
        query = f"?{urlencode(spec.query)}" if spec.query else ""
        urls = (f"{root}{path}{query}" for path in PATHS)
        super().__init__(spec.name, gate, targets(upstream, spec, gate.headers, *urls))


def _root(spec: ModelSpec) -> str:
    base_url = (spec.base_url or "").rstrip("/")
    if base_url.endswith("/openai/v1") or "/openai/deployments/" in base_url:
        return base_url
    resource = base_url.removesuffix("/openai")
    if "api-version" not in spec.query or spec.query["api-version"] in ("v1", "preview"):
        return f"{resource}/openai/v1"
    if not spec.model.strip("."):
        raise wrong(spec, "model", f"{spec.model!r} is no deployment", remedy="Set the deployment's name.")
    return f"{resource}/openai/deployments/{quote(spec.model, safe='')}"
