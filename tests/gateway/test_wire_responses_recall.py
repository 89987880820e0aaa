"""`previous_response_id` and references to items: what an earlier record gives, and to whom."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from responses_wire import GRANT, TRACE, WIRE, Records, answered, body, completion, recall, recorded
from rondo.errors import InvalidRequest, NotFound, PreviousNotFound, TooLarge
from rondo.gateway.recall import RecentCalls, continued, may_continue, stored
from rondo.gateway.wires.responses_request import ResponsesRequest
from rondo.governance.model import Grant
from rondo.records import Call

OTHER = "0123456789abcdef0123456789abcdef"
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
LIMIT = 1 << 20


async def following(*calls: Call, grant: Grant = GRANT, limit: int = LIMIT, **fields: Any) -> ResponsesRequest:
    """A request joined with the earlier calls."""
    fields = {"previous_response_id": f"resp_{TRACE}", **fields}
    return await continued(WIRE.parse(body(**fields)), grant, recall(*calls), max_bytes=limit)


def inside(request: ResponsesRequest) -> Any:
    messages = json.loads(bytes(request.fields["messages"]))
    assert [(m["role"], m["content"]) for m in messages] == [(m.role, m.content) for m in request.messages]
    return messages


async def test_a_request_that_continues_nothing_stays_as_it_is() -> None:
    request = WIRE.parse(body())
    assert await continued(request, GRANT, recall(), max_bytes=LIMIT) is request


async def test_the_earlier_conversation_comes_first_and_its_instructions_do_not() -> None:
    first = WIRE.parse(body(input="What is it?", instructions="Be kind."))
    request = await following(recorded(completion(content="It is."), first), input="Sure?", instructions="Be brief.")
    assert inside(request) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is it?"},
        {"role": "assistant", "content": "It is."},
        {"role": "user", "content": "Sure?"},
    ]
    assert request.question == "Sure?"
    assert request.extended


async def test_system_messages_of_the_input_are_carried_over() -> None:
    first = WIRE.parse(body(input=[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]))
    request = await following(recorded(completion(content="Hello"), first), input="Bye")
    assert [m["role"] for m in inside(request)] == ["system", "user", "assistant", "user"]


async def test_a_chain_needs_one_record_and_is_one_session() -> None:
    call = recorded(completion(content="1"))
    for turn in range(2, 5):
        request = await following(call, input=str(turn), instructions=f"turn {turn}")
        assert request.session == TRACE
        call = recorded(completion(content=str(turn)), request)
    texts = [m["content"] for m in json.loads(call.input)]
    assert texts == ["turn 4", "hello", "1", "2", "2", "3", "3", "4"]


async def test_a_session_of_the_clients_own_stays() -> None:
    assert (await following(recorded(completion(content="x")), session="mine")).session == "mine"
    assert (await following(recorded(completion(content="x"), session="theirs"))).session == "theirs"


async def test_a_tools_result_finds_its_call() -> None:
    message = {
        "content": None,
        "reasoning_content": "hm",
        "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
        "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "sig"}}}],
        "annotations": [],
        "x_unknown": 1,
    }
    request = await following(recorded(completion("tool_calls", **message)), input=[OUTPUT])
    kept = {name: value for name, value in message.items() if name not in ("annotations", "x_unknown")}
    assert inside(request)[1:] == [
        {"role": "assistant", **kept},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    again = await following(recorded(completion(content="done"), request), input=[OUTPUT])  # a call further back
    assert inside(again)[-1]["tool_call_id"] == "c1"


async def test_a_result_without_its_call_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="No tool call found") as raised:
        await following(recorded(completion(content="x")), input=[OUTPUT])
    assert raised.value.param == "input"


async def test_a_call_without_an_id_of_its_providers_has_ours() -> None:
    call = {name: value for name, value in CALL.items() if name != "id"}
    data = completion("tool_calls", tool_calls=[call])
    call_id = answered(data)["output"][0]["call_id"]
    request = await following(recorded(data), input=[{**OUTPUT, "call_id": call_id}])
    assert inside(request)[1]["tool_calls"][0]["id"] == call_id


async def test_a_thought_cut_short_is_not_carried_over() -> None:
    request = await following(recorded(completion("length", reasoning_content="hm")), input="Go on.")
    assert [m["role"] for m in inside(request)] == ["user", "user"]


@pytest.mark.parametrize(
    ("changes", "grant"),
    [
        ({"project": "other"}, GRANT),
        ({"wire": "chat"}, GRANT),
        ({"arm": "shadow"}, GRANT),
        ({"params": '{"responses":{"store":false}}'}, GRANT),
        ({"app": "bot"}, Grant(project="p", key_id="n", name="n", kind="secret", apps=("shop",))),
        ({"app": None}, Grant(project="p", key_id="n", name="n", kind="secret", apps=("shop",))),
    ],
)
async def test_what_is_not_this_keys_to_read_is_not_found(changes: Any, grant: Grant) -> None:
    call = recorded(completion(content="secret"), **changes)
    with pytest.raises(PreviousNotFound) as raised:
        await following(call, grant=grant)
    assert (raised.value.code, raised.value.param) == ("previous_response_not_found", "previous_response_id")
    with pytest.raises(NotFound):
        await stored(f"resp_{TRACE}", grant, recall(call))
    with pytest.raises(InvalidRequest, match="refers to"):
        await following(
            recorded(completion(content="x"), trace_id=OTHER, app="shop"),
            call,
            grant=grant,
            previous_response_id=f"resp_{OTHER}",
            input=[{"type": "item_reference", "id": f"msg_{TRACE}"}],
        )


async def test_a_lookup_that_finds_anothers_call_gives_nothing() -> None:
    """The project is checked here too, whatever the lookup does."""

    async def careless(project: str, trace_id: str) -> Call | None:
        return recorded(completion(content="secret"), project="other")

    with pytest.raises(PreviousNotFound):
        await continued(
            WIRE.parse(body(previous_response_id=f"resp_{TRACE}")), GRANT, RecentCalls(careless), max_bytes=LIMIT
        )


async def test_a_key_for_the_same_app_may_continue() -> None:
    grant = Grant(project="p", key_id="n", name="n", kind="secret", apps=("shop",))
    request = await following(recorded(completion(content="x"), app="shop"), grant=grant)
    assert len(inside(request)) == 3


async def test_an_answer_that_broke_off_cannot_be_continued() -> None:
    with pytest.raises(InvalidRequest, match="upstream_cut") as raised:
        await following(recorded(completion(content="Hel"), status=502, error_code="upstream_cut"))
    assert raised.value.param == "previous_response_id"


async def test_a_conversation_may_grow_only_so_far() -> None:
    with pytest.raises(TooLarge):
        await following(recorded(completion(content="x" * 3_000)), limit=2_000)


@pytest.mark.parametrize("params", ["", "{", "[]", '{"responses":7}', "{}"])
async def test_odd_params_of_a_record(params: str) -> None:
    assert len(inside(await following(recorded(completion(content="x"), params=params)))) == 3


@pytest.mark.parametrize("messages", ["", "{}", "7"])
async def test_a_record_without_messages(messages: str) -> None:
    with pytest.raises(InvalidRequest):
        await following(recorded(completion(content="x"), input=messages))


texts = st.text(max_size=6)
blocks = st.one_of(
    st.builds(lambda thought, sign: {"type": "thinking", "thinking": thought, "signature": sign}, texts, texts),
    st.builds(lambda data: {"type": "redacted_thinking", "data": data}, texts),
)
answers = st.fixed_dictionaries(
    {},
    optional={
        "content": texts,
        "refusal": texts,
        "reasoning_content": texts,
        "thinking_blocks": st.lists(blocks, max_size=2),
        "signatures": st.lists(st.none() | texts, min_size=1, max_size=3),
    },
)


@for_all(answers)
async def test_both_ways_of_going_on_are_one(answer: dict[str, Any]) -> None:
    """Sending all items back, and naming the response: the provider gets the same conversation."""
    signatures = answer.pop("signatures", [])
    calls: list[dict[str, Any]] = [
        {
            **CALL,
            "id": f"c{at}",
            **({} if sign is None else {"extra_content": {"google": {"thought_signature": sign}}}),
        }
        for at, sign in enumerate(signatures)
    ]
    if calls:
        answer["tool_calls"] = calls
    data = completion(**answer)
    more = [{**OUTPUT, "call_id": call["id"]} for call in calls] or [{"role": "user", "content": "And?"}]
    items = answered(data)["output"]
    stateless = WIRE.parse(body(input=[{"role": "user", "content": "hello"}, *items, *more]))
    empty = {"role": "assistant", "content": ""}  # an answer of nothing is an item, and no message
    sent = [m for m in json.loads(bytes(stateless.fields["messages"])) if m != empty]
    assert inside(await following(recorded(data), input=more)) == sent


# References


async def test_references_stand_for_their_items() -> None:
    message = {"content": "Wait.", "reasoning_content": "hm", "tool_calls": [CALL]}
    items = answered(completion("tool_calls", **message))["output"]
    asked = [
        {"role": "user", "content": "hello"},
        *({"type": "item_reference", "id": item["id"]} for item in items),
        {"id": f"rs_{TRACE}_1"},  # a stream may have had its thinking in two items
        OUTPUT,
    ]
    request = await continued(
        WIRE.parse(body(input=asked)), GRANT, recall(recorded(completion("tool_calls", **message))), max_bytes=LIMIT
    )
    assert inside(request) == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", **message},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    assert request.references == ()


async def test_references_beside_a_previous_response() -> None:
    asked = [{"type": "item_reference", "id": f"msg_{OTHER}"}, {"role": "user", "content": "And?"}]
    calls = recorded(completion(content="one")), recorded(completion(content="two"), trace_id=OTHER)
    assert [m["content"] for m in inside(await following(*calls, input=asked))] == ["hello", "one", "two", "And?"]


@pytest.mark.parametrize("item_id", [f"msg_{OTHER}", f"fc_{TRACE}_7", f"fc_{TRACE}", "msg_elsewhere", ""])
async def test_a_reference_to_nothing(item_id: str) -> None:
    asked = [{"role": "user", "content": "x"}, {"type": "item_reference", "id": item_id}]
    with pytest.raises(InvalidRequest, match="refers to") as raised:
        await continued(
            WIRE.parse(body(input=asked)), GRANT, recall(recorded(completion(content="x"))), max_bytes=LIMIT
        )
    assert raised.value.param == "input[1].id"


# Recent calls


async def test_recent_calls_need_no_records() -> None:
    records = Records()
    recent = RecentCalls(records.look_up)
    recent.keep(recorded(completion(content="x"), spans=[], rendered="[]"))
    found = await recent.recall("p", TRACE)
    assert found is not None
    assert found.output
    assert records.asked == 0
    assert await recent.recall("other", TRACE) is None
    assert records.asked == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"wire": "chat"},
        {"arm": "shadow"},
        {"status": 502, "error_code": "upstream_cut"},
        {"params": '{"responses":{"store":false}}'},
    ],
)
async def test_what_cannot_be_continued_is_not_kept(changes: Any) -> None:
    recent = RecentCalls(Records().look_up)
    recent.keep(recorded(completion(content="x"), **changes))
    assert await recent.recall("p", TRACE) is None


async def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    records = Records()
    recent = RecentCalls(records.look_up, max_bytes=100_000)
    traces = [f"{n:032x}" for n in range(8)]
    for trace in traces:
        recent.keep(recorded(completion(content="x" * 15_000), trace_id=trace))
        await recent.recall("p", traces[0])
    records.asked = 0
    found = [await recent.recall("p", trace) is not None for trace in traces]
    assert found[0]
    assert found[-1]
    assert 3 <= sum(found) <= 6
    recent.keep(recorded(completion(content="x" * 60_000), trace_id=OTHER))
    assert await recent.recall("p", OTHER) is None


@pytest.mark.parametrize(
    "large",
    [{"tags": {"note": "x" * 15_000}}, {"tags": {"x" * 15_000: ""}}, {"user": "x" * 15_000}],
    ids=["tags", "names of tags", "user"],
)
async def test_all_that_is_kept_counts(large: Any) -> None:
    recent = RecentCalls(Records().look_up, max_bytes=100_000)
    traces = [f"{n:032x}" for n in range(8)]
    for trace in traces:
        recent.keep(recorded(completion(content="x"), trace_id=trace, **large))
    assert sum([await recent.recall("p", trace) is not None for trace in traces]) <= 6


async def test_what_no_continuation_needs_is_not_kept() -> None:
    recent = RecentCalls(Records().look_up, max_bytes=100_000)
    recent.keep(recorded(completion(content="x"), question="x" * 50_000, inputs='{"a": "b"}'))
    found = await recent.recall("p", TRACE)
    assert found is not None
    assert (found.question, found.inputs) == ("", "{}")


async def test_a_call_kept_twice_counts_once() -> None:
    recent = RecentCalls(Records().look_up, max_bytes=100_000)
    for _ in range(20):
        recent.keep(recorded(completion(content="x" * 15_000)))
    recent.keep(recorded(completion(content="x"), trace_id=OTHER))
    assert await recent.recall("p", TRACE) is not None


def test_incomplete_answers_can_be_continued() -> None:
    assert may_continue(recorded(completion("length", content="Hel")))
