from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from providers.asking import Asker
from scripted_upstream import ScriptedUpstream


@pytest.fixture
async def asker(upstream: ScriptedUpstream) -> AsyncIterator[Asker]:
    """Asks any vendor, at an upstream of ours."""
    made = Asker(upstream)
    yield made
    await made.close()
