"""All aims, in the order in which they are tried. Pure."""

from __future__ import annotations

from rondo.redteam.aims.acting import AGENCY
from rondo.redteam.aims.asked import CONSUMPTION, EXPOSURES, INJECTIONS, OUTPUTS, PROMISES
from rondo.redteam.aims.planted import DISCLOSURES, INDIRECT, VECTORS
from rondo.redteam.aims.talks import ESCALATIONS, PLAYED
from rondo.redteam.model import Aim

AIMS: tuple[Aim, ...] = (
    *(*INJECTIONS, *PROMISES, *EXPOSURES, *DISCLOSURES, *INDIRECT, *VECTORS),
    *(*AGENCY, *CONSUMPTION, *OUTPUTS, *ESCALATIONS, *PLAYED),
)
