"""Which key may go to which host: a secret is bound, so that no setting can send it elsewhere. Pure.

Whoever may release an app may choose `base_url` and `api_key_env`; if any variable could go to any address, that
would be a way to read the server's environment. A provider's own variable goes to the provider's own host. Any other
pair is for the server's operator to allow, in `RONDO_KEY_HOSTS`:

    RONDO_KEY_HOSTS="VLLM_API_KEY=llm.example.com OPENAI_API_KEY=proxy.example.com:8443"

A host without a port stands for all its ports; one that begins with a dot for all names below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from rondo.errors import SettingsError

VARIABLE = "RONDO_KEY_HOSTS"


def require(variable: str, url: str, *, own: Mapping[str, Sequence[str]], allowed: str, model: str) -> None:
    """Raises SettingsError unless the key in `variable` may go to `url`.

    `own` has the hosts of each provider's own variable, `allowed` what RONDO_KEY_HOSTS says.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    granted = [*own.get(variable, ()), *_granted(variable, allowed)]
    if variable.startswith("RONDO_") or not any(_covers(each, host, port) for each in granted):
        raise SettingsError(
            f"the key in {variable} may not be sent to {host}.",
            file="rondo.toml",
            param=f"models.{model}.api_key_env",
            remedy=f'Whoever runs the server can allow it: {VARIABLE}="{variable}={host}".',
        )


def _granted(variable: str, allowed: str) -> list[str]:
    pairs = (word.partition("=") for word in allowed.replace(",", " ").split())
    return [host for name, _, host in pairs if name == variable and host]


def _covers(granted: str, host: str, port: int) -> bool:
    name, colon, number = granted.lower().rpartition(":")
    if not colon or not number.isdigit():
        name, number = granted.lower(), str(port)
    fits = host.endswith(name) if name.startswith(".") else host == name.strip("[]")
    return fits and number == str(port)
