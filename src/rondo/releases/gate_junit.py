"""A gate's decision as JUnit XML, which every CI shows: a testsuite for each suite, a testcase for each check. Pure.

A failed check is a `failure`, an inconclusive one an `error`: neither is shown as passed or skipped. Of must-pass
examples, each that failed is a testcase of its own. The shape is that of Jenkins' xUnit plug-in (junit-10.xsd).
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

from rondo.releases.gate_model import Check, Decision

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OUTCOMES = {"fail": "failure", "inconclusive": "error"}


def junit(decision: Decision) -> str:
    """The whole document."""
    root = Xml.Element("testsuites", name=_text(f"rondo gate {decision.label}"))
    by_suite: dict[str, list[Check]] = {}
    for check in decision.checks:
        by_suite.setdefault(check.suite or "gate", []).append(check)
    for name, checks in by_suite.items():
        root.append(_suite(decision, name, checks))
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    Xml.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{Xml.tostring(root, encoding="unicode")}\n'


def _suite(decision: Decision, name: str, checks: list[Check]) -> Xml.Element:
    suite = Xml.Element("testsuite", name=_text(name))
    properties = Xml.SubElement(suite, "properties")
    facts = {
        "release": decision.label,
        "hash": decision.release.hash,
        "stable": decision.stable.label(decision.app) if decision.stable is not None else "",
        "verdict": decision.verdict,
        "run": next((check.run for check in checks if check.run is not None), None) or "",
    }
    for fact, value in facts.items():
        Xml.SubElement(properties, "property", name=fact, value=_text(value))
    for check in checks:
        if check.kind == "must_pass" and check.examples:
            for example in check.examples:
                _case(suite, decision, check, f"must-pass example {example}")
        else:
            _case(suite, decision, check, check.name)
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("skipped", "0")
    return suite


def _case(suite: Xml.Element, decision: Decision, check: Check, name: str) -> None:
    where = ".".join((decision.app, check.suite or "gate", check.kind))
    case = Xml.SubElement(suite, "testcase", classname=_text(where), name=_text(name), time="0")
    outcome = _OUTCOMES.get(check.verdict)
    if outcome is not None:
        told = Xml.SubElement(case, outcome, message=_text(check.sentence), type=check.verdict)
        told.text = _text("\n".join(part for part in (check.sentence, check.remedy) if part))
    else:
        Xml.SubElement(case, "system-out").text = _text(check.sentence)


def _text(value: str) -> str:
    """Without what XML 1.0 has no way to write."""
    return _NOT_XML.sub("�", value)
