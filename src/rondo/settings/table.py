"""What every table of a settings file shares: names, addresses, and how a wrong one is told."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
ADDRESS = r"^https?://"
VARIABLE = r"^[A-Z][A-Z0-9_]*$"
DURATION = r"^\d{1,6}[smhd]$"
IN_WORDS = {
    NAME: "a name has 1 to 64 characters of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit",
    ADDRESS: "an address begins with http:// or https://",
    VARIABLE: "the name of a variable has A-Z, 0-9 and '_', and begins with a letter",
}

Name = Annotated[str, StringConstraints(pattern=NAME)]
Params = dict[str, Any]


class Table(BaseModel):
    """A table of `rondo.toml`: unknown keys are errors, types are not converted, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def one_or_more(value: str | list[str] | None) -> list[str]:
    """A key that takes one name or a list of them."""
    return [] if value is None else [value] if isinstance(value, str) else value


def nearest(name: str, allowed: Mapping[str, object] | list[str]) -> str:
    """A sentence for errors: the closest allowed name, and all that are allowed."""
    names = sorted(allowed)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return f"{meant} Allowed: {', '.join(names) or 'none'}."
