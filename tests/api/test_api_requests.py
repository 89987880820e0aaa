"""What the API refuses before it looks at the matter: too much, the wrong method, numbers that are none."""

from __future__ import annotations

from live_server import Live
from rondo.api.door import MAX_BODY


async def test_a_body_is_read_no_further_than_it_may_be_long(live: Live) -> None:
    for path in ("/api/apps/bot/promote", "/api/keys"):
        response = await live.ask("POST", path, content=b" " * (MAX_BODY + 1))
        assert response.status_code == 413
        assert response.json()["error"]["code"] == "too_large"


async def test_another_method_is_refused_in_the_apis_own_format(live: Live) -> None:
    response = await live.ask("PUT", "/api/status")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"
    assert response.json()["error"]["code"] == "invalid_request"


async def test_a_share_names_a_release(live: Live) -> None:
    for name in ("x", "1.5", "", "9" * 5_000):
        response = await live.ask("POST", "/api/apps/bot/split", json={"shares": {name: 5}})
        assert response.status_code == 400, name[:10]
        assert response.json()["error"]["param"] == "shares"


async def test_numbers_that_json_has_not_are_refused_with_the_key(live: Live) -> None:
    from rondo.releases import bundle
    from rondo.releases.model import Bundle

    files = dict(bundle.read_folder(live.project).files)
    files["rondo.toml"] += b"\n[use_case]\ntickets_per_month = inf\n"
    response = await live.ask("POST", "/api/releases", content=bundle.to_zip(Bundle(files)))
    assert response.status_code == 400
    assert "use_case.tickets_per_month" in response.text
