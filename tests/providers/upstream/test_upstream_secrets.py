"""A key that was sent is not read out of what comes back, whatever the status, unless it is an answer."""

from __future__ import annotations

import pytest

from rondo.providers.upstream import Upstream
from scripted_upstream import ScriptedUpstream, whole


@pytest.mark.parametrize("status", [201, 302, 400, 401, 500])
async def test_a_reply_that_repeats_the_key(upstream: ScriptedUpstream, status: int) -> None:
    upstream.plays[""] = whole(b"you sent sk-secret, and sk-secret is wrong", status)
    connections = Upstream()
    target = connections.target(upstream.url, {"authorization": "Bearer sk-secret"}, timeout_s=5)
    reply = await target.post(b"{}")
    assert reply.status == status
    assert await reply.read() == b"you sent ***, and *** is wrong"
    await connections.close()


async def test_an_answer_stays_as_it_is(upstream: ScriptedUpstream) -> None:
    upstream.plays[""] = whole(b"sk-secret")
    connections = Upstream()
    target = connections.target(upstream.url, {"authorization": "Bearer sk-secret"}, timeout_s=5)
    assert await (await target.post(b"{}")).read() == b"sk-secret"
    await connections.close()
