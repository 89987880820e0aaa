"""Phrases that several sentences of a gate are made of. Pure."""

from __future__ import annotations

from rondo.releases.gate_model import Candidate


def number_of(count: int, what: str) -> str:
    """`1 example`, `12 examples`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def run_it(suite: str, candidate: Candidate) -> str:
    """How evidence is made."""
    against = " --against production" if candidate.stable is not None and not candidate.is_stable else ""
    which = f" --target {candidate.release.number}" if candidate.release.number is not None else ""
    return f"Run `rondo eval {suite}{which}{against}`."
