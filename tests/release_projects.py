"""A small project, as files: for tests that release it."""

from __future__ import annotations

from pathlib import Path

TOML = """
[app]
name = "bot"
prompt = "prompts/answer.md"
route = ["main", "baseline"]
knowledge = "handbook"
params = { seed = 1 }

[use_case]
summary = "Help"

[[goals]]
metric = "latency.p95_ms"
at_most = 2000

[models.main]
provider = "openai"
model = "gpt-4o-mini"
params = { temperature = 0.2 }
price = { input = 1.0, output = 2.0 }

[models.baseline]
provider = "extractive"

[knowledge.handbook]
sources = ["docs"]
top_k = 3
"""

PROMPT = """# system
Answer from: {% for passage in context %}{{ passage.text }}{% endfor %}

# user
{{ question }}
"""


def project_files(**replaced: str) -> dict[str, bytes]:
    """The files of the project; `toml` and `prompt` replace those two."""
    return {
        "rondo.toml": replaced.get("toml", TOML).encode(),
        "prompts/answer.md": replaced.get("prompt", PROMPT).encode(),
        "docs/returns.md": b"# Returns\n\nYou may return a bike within 30 days.\n",
        "docs/deep/repairs.html": b"<h1>Repairs</h1><p>We repair bikes in May.</p>",
    }


def write_project(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    for name, data in (files or project_files()).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
