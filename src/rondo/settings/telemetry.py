"""The tables `[traces]` and `[telemetry]`: spans that come in, and where calls are told of by OpenTelemetry."""

from __future__ import annotations

from pydantic import Field

from rondo.settings.table import ADDRESS, VARIABLE, Table


class TracesSettings(Table):
    """Spans of other programs, by OTLP. Over HTTP they come to `/v1/traces` of the server's own port."""

    http_port: int | None = Field(
        None, ge=1, le=65_535, description="A port for OTLP/HTTP besides; the standard one is 4318."
    )
    grpc_port: int | None = Field(
        None, ge=1, le=65_535, description="A port for OTLP/gRPC (`rondo[grpc]`); the standard one is 4317."
    )
    max_body_mb: int = Field(16, ge=1, le=256, description="Largest request, unpacked.")


class TelemetrySettings(Table):
    """Every call as OpenTelemetry GenAI spans, sent to another system. Nothing is sent anywhere without it."""

    endpoint: str = Field(
        pattern=ADDRESS,
        description="Where OTLP/HTTP goes, e.g. `http://collector:4318`; `/v1/traces` and `/v1/logs` are added.",
    )
    headers_env: str | None = Field(
        None, pattern=VARIABLE, description="The variable with headers: `name=value,name=value`."
    )
    content: bool = Field(False, description="Whether questions and answers are sent too.")
    service_name: str = Field("rondo", description="The resource's `service.name`.")
