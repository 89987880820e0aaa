"""Where each fact of a span is found: the three conventions for telling of AI by OpenTelemetry, as tables. Pure.

For a fact, names stand in the order in which they count: OpenTelemetry's own (`gen_ai.`) from the newest to the
oldest, OpenInference's (Phoenix), OpenLLMetry's (Traceloop). A span may speak several of them; the first that says
something is believed, so nothing counts twice. What is under "Development" in OpenTelemetry changes its names:
https://opentelemetry.io/docs/specs/semconv/gen-ai/ , https://github.com/Arize-ai/openinference/tree/main/spec ,
https://github.com/traceloop/openllmetry .
"""

from __future__ import annotations

OPERATIONS = {
    "chat": "call",
    "text_completion": "call",
    "generate_content": "call",
    "embeddings": "embed",
    "retrieval": "retrieval",
    "execute_tool": "tool",
    "create_agent": "agent",
    "invoke_agent": "agent",
    "invoke_workflow": "workflow",
}
"""`gen_ai.operation.name`."""

OPENINFERENCE_KINDS = {
    "LLM": "call",
    "EMBEDDING": "embed",
    "CHAIN": "workflow",
    "RETRIEVER": "retrieval",
    "RERANKER": "rerank",
    "TOOL": "tool",
    "AGENT": "agent",
    "GUARDRAIL": "guard",
    "EVALUATOR": "evaluation",
    "PROMPT": "prompt",
}
"""`openinference.span.kind`."""

TRACELOOP_KINDS = {"workflow": "workflow", "task": "step", "agent": "agent", "tool": "tool"}
"""`traceloop.span.kind`."""

REQUEST_TYPES = {"chat": "call", "completion": "call", "embedding": "embed", "rerank": "rerank"}
"""`llm.request.type`, of OpenLLMetry."""

PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
REQUEST_MODEL = ("gen_ai.request.model", "llm.request.model_name")
RESPONSE_MODEL = ("gen_ai.response.model", "llm.response.model_name")
MODEL = ("llm.model_name", "embedding.model_name")
"""OpenInference's one name for both; its instrumentation puts the response's there, where there is one."""


INPUT_TOKENS = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
)
OUTPUT_TOKENS = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
)
TOTAL_TOKENS = ("llm.token_count.total", "llm.usage.total_tokens", "gen_ai.usage.total_tokens")
CACHE_READ_TOKENS = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)
CACHE_WRITE_TOKENS = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
REASONING_TOKENS = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)

COST = ("llm.cost.total",)
COST_PARTS = ("llm.cost.prompt", "llm.cost.completion")
FINISH = (
    "gen_ai.response.finish_reasons",
    "llm.finish_reason",
    "gen_ai.response.finish_reason",
    "gen_ai.response.stop_reason",
    "gen_ai.completion.0.finish_reason",
)
FIRST_TOKEN_S = ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
FIRST_TOKEN_EVENTS = frozenset(
    ("First Token Stream Event", "llm.content.completion.chunk", "gen_ai.content.completion.chunk")
)
STREAM = ("gen_ai.request.stream", "llm.is_streaming", "gen_ai.is_streaming")

ASSOCIATED = "traceloop.association.properties."
SESSION = ("gen_ai.conversation.id", "session.id", f"{ASSOCIATED}session_id", f"{ASSOCIATED}conversation_id")
USER = ("user.id", "gen_ai.user", "llm.user", "enduser.id", f"{ASSOCIATED}user_id")
APP = "rondo.app"
TAG = "rondo.tag."
TAG_LIST = "tag.tags"
METADATA = "metadata"

MESSAGES_IN = ("gen_ai.input.messages",)
SYSTEM = "gen_ai.system_instructions"
NUMBERED_IN = ("llm.input_messages.", "gen_ai.prompt.")
EVENTS_IN = {
    "gen_ai.system.message": "system",
    "gen_ai.developer.message": "developer",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
TEXT_IN = (
    "gen_ai.prompt",
    "llm.prompts",
    "gen_ai.tool.call.arguments",
    "gen_ai.retrieval.query.text",
    "input.value",
    "traceloop.entity.input",
    "tool.parameters",
)
EMBEDDED = "embedding.embeddings."

MESSAGES_OUT = ("gen_ai.output.messages",)
NUMBERED_OUT = ("llm.output_messages.", "gen_ai.completion.")
EVENT_OUT = "gen_ai.choice"
TEXT_OUT = (
    "gen_ai.completion",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.documents",
    "output.value",
    "traceloop.entity.output",
)
DOCUMENTS = ("retrieval.documents.", "reranker.output_documents.")
DETAILS_EVENT = "gen_ai.client.inference.operation.details"
"""Its attributes are those of the span, kept apart from it."""

TOOL_NAME = ("gen_ai.tool.name", "tool.name", "traceloop.entity.name")
REQUEST_PREFIX = "gen_ai.request."
PARAMETERS = "llm.invocation_parameters"

EVALUATION_EVENT = "gen_ai.evaluation.result"
EVALUATIONS = "evaluations."

FLATTENED = (*NUMBERED_IN, *NUMBERED_OUT, *DOCUMENTS, EMBEDDED)
"""Lists that are spread over many attributes, `llm.input_messages.0.message.role` say."""

TOLD = frozenset(
    name
    for names in (
        PROVIDER, REQUEST_MODEL, RESPONSE_MODEL, MODEL, INPUT_TOKENS, OUTPUT_TOKENS, TOTAL_TOKENS, CACHE_READ_TOKENS,
        CACHE_WRITE_TOKENS, REASONING_TOKENS, COST, COST_PARTS, FINISH, FIRST_TOKEN_S, SESSION, USER, (APP, TAG_LIST),
        MESSAGES_IN, (SYSTEM,), TEXT_IN, MESSAGES_OUT, TEXT_OUT, (PARAMETERS,),
    )
    for name in names
)  # fmt: skip
"""What has a field of its own in a record, and is not kept a second time among the attributes."""

PROVIDERS = {
    "az.ai.openai": "azure",
    "azure.ai.openai": "azure",
    "az.ai.inference": "azure",
    "azure.ai.inference": "azure",
    "azure_openai": "azure",
    "aws": "bedrock",
    "aws.bedrock": "bedrock",
    "aws_bedrock": "bedrock",
    "google": "gemini",
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "gcp.vertex_ai": "gemini",
    "vertexai": "gemini",
    "vertex_ai": "gemini",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "xai": "x_ai",
}
"""Names of providers that are other than ours."""
