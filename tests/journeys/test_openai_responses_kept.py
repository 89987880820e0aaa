"""A conversation goes on wherever the next request arrives: after a restart, and in another process."""

from __future__ import annotations

from collections.abc import Callable

from openai import OpenAI

from journeys.running import Running

Serve = Callable[..., Running]


def ask(running: Running, text: str, previous: str | None = None) -> tuple[str, int]:
    """A turn on a connection of its own: the response's id, and how many items of input it had."""
    with OpenAI(base_url=f"{running.url}/v1", api_key=running.key, max_retries=0, timeout=20) as client:
        answer = client.responses.create(model="bot", input=text, previous_response_id=previous)
        assert answer.output_text == f"You asked: {text}"
        return answer.id, len(client.responses.input_items.list(answer.id, limit=100).data)


def test_after_a_restart(serve: Serve) -> None:
    running = serve()
    first, _ = ask(running, "one")
    second, _ = ask(running, "two", first)
    assert running.stop() == 0
    assert ask(serve(), "three", second)[1] == 5


def test_after_a_kill(serve: Serve) -> None:
    """What a client has seen is in the journal; the next server drains it."""
    running = serve()
    first, _ = ask(running, "one")
    running.kill()
    assert ask(serve(), "two", first)[1] == 3


def test_in_another_worker(serve: Serve) -> None:
    running = serve("--workers", "2")
    previous, _ = ask(running, "0")
    for turn in range(1, 9):
        previous, items = ask(running, str(turn), previous)
        assert items == 2 * turn + 1
