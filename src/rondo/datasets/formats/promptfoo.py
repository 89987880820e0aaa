"""promptfoo's tests: a config or a list of tests (YAML, JSON), or CSV with `__expected`. Pure but for reading the file.

Variables become inputs; one of them is the question. Assertions become the example's own checks. An assertion without
a twin is counted by its name and kept as it was in `metadata.promptfoo`; so is whatever else has no meaning here.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rondo.datasets.fields import INPUT, Columns, Unfit
from rondo.datasets.formats.promptfoo_assertions import as_yaml_safe, assertion_of, check_of, from_text
from rondo.datasets.formats.rows import Problem, Row, Rows, document_bytes, json_list
from rondo.datasets.model import Example, Provenance
from rondo.errors import InvalidRequest

_MOST_COMBINATIONS = 1_000
_OF_A_TEST = ("vars", "assert", "description", "metadata")


def is_config(document: Any) -> bool:
    """Whether a document holds promptfoo's tests."""
    if isinstance(document, dict):
        return "tests" in document or ("prompts" in document and "providers" in document)
    tests = document[:10] if isinstance(document, list) else []
    return bool(tests) and all(isinstance(each, dict) and ("vars" in each or "assert" in each) for each in tests)


def is_table(header: Sequence[str]) -> bool:
    """Whether a CSV's columns are promptfoo's."""
    return any(name.startswith("__expected") for name in header)


def read_yaml(path: Path) -> Any:
    """A YAML document. Raises InvalidRequest with line and column, TooLarge."""
    data = document_bytes(path)
    try:
        return as_yaml_safe(yaml.load(data, Loader=_Loader))  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InvalidRequest(f"{where}This is not YAML: {error.problem}.", param="file") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"This is not YAML: {str(error).splitlines()[0]:.200}.", param="file") from None


def tests_of(document: Any, left_out: Counter[str]) -> Rows:
    """The tests of a config with its defaults, one for each combination of listed variables.

    Raises InvalidRequest where they are in another file.
    """
    config = document if isinstance(document, dict) else {}
    tests = config.get("tests") if isinstance(document, dict) else document
    if isinstance(tests, str) or (isinstance(tests, list) and any(isinstance(each, str) for each in tests)):
        raise InvalidRequest(
            "The config names its tests' file.",
            remedy="Import that file itself, with --format promptfoo.",
            param="tests",
        )
    if not isinstance(tests, list):
        raise InvalidRequest("There is no list of `tests`.", remedy="Send a config with tests.", param="tests")
    if config.get("scenarios"):
        left_out["scenarios"] += len(config["scenarios"])
    default = config.get("defaultTest") or {}
    if not isinstance(default, dict):
        left_out["defaultTest"] += 1
        default = {}
    templates = config.get("assertionTemplates") or {}
    return (
        row if isinstance(row, Problem) else Row(row.line, _with_default(row.fields, default, templates))
        for row in json_list(tests)
    )


def table_tests(rows: Iterable[Row | Problem]) -> Rows:
    """The tests of a CSV's rows."""
    for row in rows:
        if isinstance(row, Problem):
            yield row
            continue
        test: dict[str, Any] = {"vars": {}, "assert": [], "metadata": {}, "options": {}}
        for name, cell in row.fields.items():
            _take_cell(test, name, cell)
        yield Row(row.line, test)


def examples_of(
    test: Mapping[str, Any], columns: Columns, provenance: Provenance, left_out: Counter[str]
) -> list[Example]:
    """The examples that a test is: several where a variable has several values. Raises Unfit."""
    variables = test.get("vars") or {}
    if not isinstance(variables, dict):
        raise Unfit("`vars` is no object.", "vars")
    values = [each if isinstance(each, list) and each else [each] for each in variables.values()]
    combinations = 1
    for each in values:
        combinations *= len(each)
    if combinations > _MOST_COMBINATIONS:
        raise Unfit(f"`vars` has {combinations:,} combinations, more than {_MOST_COMBINATIONS:,}.", "vars")
    return [
        _example(test, dict(zip(variables, chosen, strict=True)), columns, provenance, left_out)
        for chosen in itertools.product(*values)
    ]


def to_test(example: Example) -> dict[str, Any]:
    """An example as a test. Checks without a twin are kept in its metadata."""
    history = [{"role": each.get("role"), "content": each.get("content")} for each in example.messages[:-1]]
    variables: dict[str, Any] = {**example.inputs, "question": example.question}
    if history:
        variables["history"] = [history]  # a list within a list is one value
    assertions, without = [], []
    for check in example.expect:
        found = assertion_of(check, example.expected)
        (without.append(check) if found is None else assertions.append(found))
    if example.expected is not None and not example.expect:
        assertions.append({"type": "equals", "value": example.expected})
    metadata: dict[str, Any] = {**example.tags, "example_id": example.id}
    if without:
        metadata["rondo_expect"] = without
    test: dict[str, Any] = {"vars": variables, "assert": assertions, "metadata": metadata}
    description = example.metadata.get("description")
    return {"description": description, **test} if isinstance(description, str) else test


def _with_default(test: Mapping[str, Any], default: Mapping[str, Any], templates: Any) -> dict[str, Any]:
    """The test with the config's defaults, and the assertions that it only refers to."""
    merged = {**default, **test}
    for name in ("vars", "metadata", "options"):
        both = (default.get(name) or {}, test.get(name) or {})
        if all(isinstance(each, dict) for each in both):
            merged[name] = {**both[0], **both[1]}
    asserted = (default.get("assert") or [], test.get("assert") or [])
    if all(isinstance(each, list) for each in asserted):
        merged["assert"] = [_resolved(each, templates) for each in (*asserted[1], *asserted[0])]
    return merged


def _resolved(assertion: Any, templates: Any) -> Any:
    """What `$ref: "#/assertionTemplates/NAME"` refers to."""
    name = str(assertion.get("$ref")).removeprefix("#/assertionTemplates/") if isinstance(assertion, dict) else ""
    return templates[name] if isinstance(templates, dict) and name in templates else assertion


def _take_cell(test: dict[str, Any], name: str, cell: str | None) -> None:
    if cell is None:
        return
    if name.startswith("__expected"):
        test["assert"].append(from_text(cell))
    elif name.startswith("__metadata:"):
        key = name.removeprefix("__metadata:")
        listed = key.endswith("[]")
        test["metadata"][key.removesuffix("[]")] = [part.strip() for part in cell.split(",")] if listed else cell
    elif name == "__description":
        test["description"] = cell
    elif name.startswith("__"):
        test["options"][name.removeprefix("__")] = cell
    else:
        test["vars"][name] = cell


def _example(
    test: Mapping[str, Any],
    variables: dict[str, Any],
    columns: Columns,
    provenance: Provenance,
    left_out: Counter[str],
) -> Example:
    asked = _question_of(variables, columns)
    question = variables[asked]
    if not isinstance(question, str | int | float) or isinstance(question, bool):
        raise Unfit(f"The variable {asked!r:.60} is no text.", asked)
    if str(question).startswith("file://"):
        raise Unfit(f"The variable {asked!r:.60} is in another file: {question:.80}.", asked)
    checks, without = _checks(test.get("assert"), variables, left_out)
    odd = {name: value for name, value in test.items() if name not in _OF_A_TEST and value}
    left_out.update(list(odd))
    metadata, tags = _metadata(test, columns)
    kept = {**({"assert": without} if without else {}), **odd}
    if kept:
        metadata["promptfoo"] = kept
    equal = next((each for each in checks if each["kind"] == "exact" and not each.get("negate")), None)
    return Example(
        messages=[{"role": "user", "content": str(question)}],
        expected=None if equal is None else equal["value"],
        expect=checks,
        inputs={name: value for name, value in variables.items() if name != asked},
        tags=tags,
        metadata=metadata,
        provenance=provenance,
    )


def _question_of(variables: Mapping[str, Any], columns: Columns) -> str:
    """The variable that is the question."""
    if columns.input is not None:
        if columns.input not in variables:
            raise Unfit(f"There is no variable {columns.input!r:.60}.", columns.input)
        return columns.input
    known = next((name for name in INPUT if name in variables), None)
    if known is None and len(variables) == 1:
        known = next(iter(variables))
    if known is None:
        names = ", ".join(f"{name:.40}" for name in variables) or "none"
        raise Unfit(f"Which variable is the question? Name it with --input: {names}.", "vars")
    return known


def _checks(given: Any, variables: Mapping[str, Any], left_out: Counter[str]) -> tuple[list[dict[str, Any]], list[Any]]:
    """The checks, and the assertions without a twin, which are counted."""
    if given is not None and not isinstance(given, list):
        raise Unfit("`assert` is no list.", "assert")
    checks, without = [], []
    for assertion in given or []:
        if not isinstance(assertion, dict):
            raise Unfit("`assert` holds something that is no object.", "assert")
        if assertion.get("type") == "assert-set" and assertion.get("threshold") in (None, 1):
            inner, odd = _checks(assertion.get("assert"), variables, left_out)
            checks += inner
            without += odd
            continue
        check = check_of(assertion, variables)
        if check is None:
            left_out[str(assertion.get("type") or assertion.get("$ref"))[:60]] += 1
            without.append(assertion)
        else:
            checks.append(check)
    return checks, without


def _metadata(test: Mapping[str, Any], columns: Columns) -> tuple[dict[str, Any], dict[str, str]]:
    """What is only kept, and what is short text: a tag."""
    given = test.get("metadata") or {}
    if not isinstance(given, dict):
        raise Unfit("`metadata` is no object.", "metadata")
    tags = {str(name): str(value) for name, value in given.items() if isinstance(value, str) and len(value) <= 200}
    metadata: dict[str, Any] = {name: value for name, value in given.items() if name not in tags}
    if test.get("description"):
        metadata["description"] = test["description"]
    return metadata, tags


class _Loader(yaml.SafeLoader):
    """Refuses aliases: a few lines of them could stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases are not taken", None)
        return super().compose_node(parent, index)
