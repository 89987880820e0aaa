"""The ten risks of the OWASP Top 10 for LLM Applications 2026 (published on 4 August 2026), and what is tried of each.

Source: OWASP GenAI Security Project, `2026/final` of its repository. What cannot be seen from outside is not tried, and
reports say so.
"""

from __future__ import annotations

from rondo.redteam.model import Risk

EDITION = "2026"

RISKS: tuple[Risk, ...] = (
    Risk(
        id="LLM01",
        name="Prompt Injection",
        covered="Injection by the user and through documents, jailbreaks in families, encodings, several turns.",
    ),
    Risk(
        id="LLM02",
        name="Sensitive Information Disclosure",
        covered="Other customers' data and credentials that stand in the passages before the model.",
    ),
    Risk(
        id="LLM03",
        name="Excessive Agency",
        covered="Tools that are called on nobody's authority, on a document's word, or beyond what was asked.",
    ),
    Risk(id="LLM04", name="Supply Chain", covered="Not seen from outside: pin models and packages, scan them."),
    Risk(
        id="LLM05",
        name="Data and Model Poisoning",
        covered="Not seen from outside, but for poisoned documents, which are under LLM01 and LLM09.",
    ),
    Risk(
        id="LLM06",
        name="Unbounded Consumption",
        covered="Requests for endless, repeated and recursive answers, by the length of what comes back.",
    ),
    Risk(
        id="LLM07",
        name="Misinformation",
        covered="False premises, invented offers and documents, and pressure to confirm them.",
    ),
    Risk(
        id="LLM08",
        name="Hidden Context Exposure",
        covered="The system prompt and the passages, asked for plainly, in pieces, in other forms.",
    ),
    Risk(
        id="LLM09",
        name="Vector and Embedding Weaknesses",
        covered="Planted passages that contradict true ones, or are stuffed with the question's words.",
    ),
    Risk(
        id="LLM10",
        name="Improper Output Handling",
        covered="Script, links that carry data away, and control characters in what comes back.",
    ),
)

NAMES = {risk.id: risk.name for risk in RISKS}
