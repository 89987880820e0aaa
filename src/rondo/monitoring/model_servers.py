"""What a model server tells of itself: a few numbers out of its own metrics, whichever server it is.

Known are vLLM, Text Generation Inference, llama.cpp, and NVIDIA's DCGM exporter for GPUs. What else is in the answer is
passed over. The answer comes from outside: whatever it holds, it is numbers or nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec import Struct

LONGEST = 4 << 20
"""Bytes of an answer."""


class Known(Struct, frozen=True):
    """A number of ours, and the metrics that tell it. `of` says what several of them make."""

    names: tuple[str, ...]
    of: str = "sum"
    scale: float = 1.0


# A server that changed a metric's name has both here; only one of them is ever in an answer.
GAUGES: dict[str, Known] = {
    "running": Known(("vllm:num_requests_running", "tgi_batch_current_size", "llamacpp:requests_processing")),
    "waiting": Known(("vllm:num_requests_waiting", "tgi_queue_size", "llamacpp:requests_deferred")),
    "kv_cache_share": Known(
        ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "llamacpp:kv_cache_usage_ratio"), "max"
    ),
    "gpu_share": Known(("DCGM_FI_DEV_GPU_UTIL",), "mean", 0.01),
    "gpu_memory_used_bytes": Known(("DCGM_FI_DEV_FB_USED",), "sum", 1 << 20),
    "gpu_memory_free_bytes": Known(("DCGM_FI_DEV_FB_FREE",), "sum", 1 << 20),
    "gpu_celsius": Known(("DCGM_FI_DEV_GPU_TEMP",), "max"),
    "gpu_watts": Known(("DCGM_FI_DEV_POWER_USAGE",)),
}
COUNTERS: dict[str, Known] = {
    "prompt_tokens": Known(("vllm:prompt_tokens_total", "llamacpp:prompt_tokens_total")),
    "generated_tokens": Known(
        ("vllm:generation_tokens_total", "tgi_request_generated_tokens_sum", "llamacpp:tokens_predicted_total")
    ),
}


def read(text: str) -> dict[str, float]:
    """The numbers of GAUGES and COUNTERS that are in an answer in Prometheus' text format. Raises ValueError."""
    from prometheus_client.parser import text_string_to_metric_families  # only where there is such a server

    wanted = {name for known in (*GAUGES.values(), *COUNTERS.values()) for name in known.names}
    samples: dict[str, list[float]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in wanted and math.isfinite(sample.value):
                    samples.setdefault(sample.name, []).append(float(sample.value))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"these are no metrics: {type(error).__name__}") from None
    found = {}
    for ours, known in {**GAUGES, **COUNTERS}.items():
        values = next((samples[name] for name in known.names if name in samples), None)
        if values:
            found[ours] = _together(values, known.of) * known.scale
    return found


def _together(values: Iterable[float], of: str) -> float:
    numbers = list(values)
    if of == "max":
        return max(numbers)
    return sum(numbers) / (len(numbers) if of == "mean" else 1)


def rates(before: dict[str, float], after: dict[str, float], seconds: float) -> dict[str, float]:
    """Per second, of the counters that are in both; a counter that went back has begun anew, and tells nothing."""
    return {
        f"{name}_per_s": (after[name] - before[name]) / seconds
        for name in COUNTERS
        if seconds > 0 and name in before and name in after and after[name] >= before[name]
    }
