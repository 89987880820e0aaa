"""The only reader of the environment, which holds only secrets and addresses."""

from __future__ import annotations

import os

ENVIRONMENT: dict[str, str] = {
    "RONDO_URL": "Address of the server that commands talk to.",
    "RONDO_API_KEY": "Key that commands send.",
    "RONDO_DATA": "Data folder of the server; `.rondo` in the project's folder by default.",
    "RONDO_CATALOG_URL": "Database of the catalog (`postgresql+psycopg://...`); SQLite in the data folder by default.",
    "NO_COLOR": "Any value: commands print without colours.",
    "RONDO_ADMIN_KEY": "The admin key to create on first start, instead of a generated one.",
    "RONDO_KEY_HOSTS": "Further hosts that keys may be sent to: `VARIABLE=host[:port] ...`.",
    "OPENAI_API_KEY": "Key of the provider `openai`.",
    "AZURE_OPENAI_API_KEY": "Key of the provider `azure`.",
    "OPENROUTER_API_KEY": "Key of the provider `openrouter`.",
    "MISTRAL_API_KEY": "Key of the provider `mistral`.",
    "GROQ_API_KEY": "Key of the provider `groq`.",
    "DEEPSEEK_API_KEY": "Key of the provider `deepseek`.",
    "TOGETHER_API_KEY": "Key of the provider `together`.",
}


def environment(name: str) -> str | None:
    """A variable's value, or None where it is unset or empty. Models may name further ones by `api_key_env`."""
    return os.environ.get(name) or None
