"""The only reader of the environment, which holds only secrets and addresses."""

from __future__ import annotations

import os
from typing import NamedTuple

DATA = ".rondo"
"""The data folder's name, where RONDO_DATA does not say otherwise."""

ENVIRONMENT: dict[str, str] = {
    "RONDO_URL": "Address of the server that commands talk to.",
    "RONDO_API_KEY": "Key that commands send.",
    "RONDO_DATA": "Data folder of the server; `.rondo` in the project's folder by default.",
    "RONDO_CATALOG_URL": "Database of the catalog (`postgresql+psycopg://...`); SQLite in the data folder by default.",
    "RONDO_REDIS_URL": "Redis or Valkey that counts limits for several processes or machines (`redis://HOST:6379/0`).",
    "NO_COLOR": "Any value: commands print without colours.",
    "RONDO_ADMIN_KEY": "The admin key to create on first start, instead of a generated one.",
    "RONDO_PSEUDONYM_KEY": "Key of the tokens that guards put in place of personal data; one for all machines.",
    "RONDO_KEY_HOSTS": "Further hosts that keys may be sent to: `VARIABLE=host[:port] ...`.",
    "RONDO_CA_FILE": "Certificates (PEM) of authorities to trust for providers and alerts, beside those of the system.",
    "RONDO_PUBLIC_URL": "Address at which people reach the console, for links in alerts: `https://rondo.example.com`.",
    "RONDO_WEBHOOK_HOSTS": "Hosts of private networks that alerts may be sent to: `hooks.internal 10.0.0.5:8080`.",
    "RONDO_SMTP_URL": "Mail server for alerts: `smtps://user:password@host:465`, or `smtp://host:587` (STARTTLS).",
    "RONDO_SMTP_FROM": "The sender of that mail: `Rondo <rondo@example.com>`.",
    "HTTPS_PROXY": "Proxy for providers at https:// addresses: `http://[user:password@]host:port`.",
    "HTTP_PROXY": "The same for http:// addresses. Names in lower case count too, and before these.",
    "ALL_PROXY": "Proxy for what the other two do not name.",
    "NO_PROXY": "Hosts to reach without one: `example.com,10.0.0.0/8,other:8443` or `*`.",
    "OPENAI_API_KEY": "Key of the provider `openai`.",
    "ANTHROPIC_API_KEY": "Key of the provider `anthropic`.",
    "AZURE_OPENAI_API_KEY": "Key of the provider `azure`.",
    "GEMINI_API_KEY": "Key of the provider `gemini`.",
    "AWS_BEARER_TOKEN_BEDROCK": "Key of the provider `bedrock`; or else a pair of AWS keys signs:",
    "AWS_ACCESS_KEY_ID": "Id of the AWS key that signs for `bedrock`.",
    "AWS_SECRET_ACCESS_KEY": "Its secret half.",
    "AWS_SESSION_TOKEN": "Its session token, where the key is a temporary one.",
    "AWS_REGION": "Region of `bedrock`, where a model names none.",
    "OPENROUTER_API_KEY": "Key of the provider `openrouter`.",
    "MISTRAL_API_KEY": "Key of the provider `mistral`.",
    "GROQ_API_KEY": "Key of the provider `groq`.",
    "DEEPSEEK_API_KEY": "Key of the provider `deepseek`.",
    "TOGETHER_API_KEY": "Key of the provider `together`.",
}


class Proxies(NamedTuple):
    """Addresses of proxies by the scheme of what is reached through them, and what is reached without."""

    http: str | None = None
    https: str | None = None
    exceptions: str = ""

    def __repr__(self) -> str:
        return "Proxies(...)"  # an address may hold a password


def environment(name: str) -> str | None:
    """A variable's value, or None where it is unset or empty. Models may name further ones by `api_key_env`."""
    return os.environ.get(name) or None


def proxies() -> Proxies:
    """The proxies that the environment names. A variable in lower case counts before the one in upper case."""
    named = {name: os.environ.get(name.lower(), os.environ.get(name, "")) for name in _PROXY_VARIABLES}
    both = named["ALL_PROXY"]
    return Proxies(named["HTTP_PROXY"] or both or None, named["HTTPS_PROXY"] or both or None, named["NO_PROXY"])


_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
