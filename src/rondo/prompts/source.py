"""Reads a prompt file: YAML front matter, then the parts `# system` and `# user`.

    ---
    description: Answers from the handbook.
    variables:
      plan: {type: string, default: free, description: The customer's plan.}
    examples:
      - {user: "How do I log in?", assistant: "Open the app and choose Sign in. [1]"}
    ---
    # system
    You help customers on the {{ plan }} plan.

    # user
    {{ question }}

Everything that can be wrong is found here, before a prompt is ever served: an unknown key, a wrong type, a
template outside the language, a variable that nobody declared. Errors name the file and the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import yaml
from msgspec import structs

from rondo.errors import SettingsError
from rondo.prompts.language import RESERVED, TemplateError, compile_text
from rondo.prompts.model import BUILT_IN, TYPES, Example, Prompt, Variable, fits, version_of
from rondo.settings.table import nearest

MAX_CHARS = 500_000
KEYS = ["description", "variables", "examples", "output_schema"]
PARTS = ["system", "user"]
VARIABLE_KEYS = ["type", "default", "description"]
EXAMPLE_KEYS = ["user", "assistant"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def parse_prompt(text: str, *, file: str) -> Prompt:
    """The prompt in `text`; `file` is its path as the user knows it. Raises SettingsError."""
    if len(text) > MAX_CHARS:
        raise SettingsError(f"a prompt has at most {MAX_CHARS:,} characters, not {len(text):,}.", file=file)
    if "\0" in text:
        raise SettingsError("holds a NUL character; it is not text.", file=file)
    source = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    matter, body, first_line = _split(source, file)
    values = _front_matter(matter, file)
    for key in values:
        if key not in KEYS:
            raise SettingsError(f"there is no such key.{nearest(key, KEYS)}", file=file, param=key)
    parts, lines = _parts(body, first_line, file)
    prompt = Prompt(
        name=PurePath(file).stem,
        version="",
        source=text,
        description=_text(values.get("description", ""), "description", file),
        variables=_variables(values.get("variables"), file),
        examples=_examples(values.get("examples"), file),
        output_schema=_output_schema(values.get("output_schema"), file),
        system=parts.get("system"),
        user=parts["user"],
    )
    names = dict.fromkeys(prompt.variables) | BUILT_IN
    for part, template in parts.items():
        _check_template(template, part, names, lines[part], file)
    try:
        return structs.replace(prompt, version=version_of(prompt))
    except (ValueError, RecursionError):
        raise SettingsError(
            "holds what JSON cannot: not-a-number, half a character, or endless nesting.", file=file
        ) from None


def _split(source: str, file: str) -> tuple[str, str, int]:
    """Front matter, body, and the line of the file at which the body begins."""
    if not source.startswith("---\n"):
        return "", source, 1
    found = re.compile(r"^---[ \t]*$", re.MULTILINE).search(source, 4)
    if found is None:
        raise SettingsError("the front matter has no end.", file=file, remedy="Close it with a line `---`.")
    return source[4 : found.start()], source[found.end() + 1 :], source.count("\n", 0, found.end()) + 2


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases (they can grow without bound) and without repeated keys (one would be lost)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases (`*name`) are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.YAMLError(f"the key {key.value!r} appears twice, on line {key.start_mark.line + 2}")
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.YAMLError(f"the key {key.value!r} on line {key.start_mark.line + 2} is not text: quote it")
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _front_matter(text: str, file: str) -> dict[str, Any]:
    try:
        values = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader that allows less
    except yaml.MarkedYAMLError as error:
        line = f" on line {error.problem_mark.line + 2}" if error.problem_mark else ""
        raise SettingsError(f"the front matter is not valid YAML{line}: {error.problem}.", file=file) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SettingsError(f"the front matter is not valid YAML: {reason}.", file=file) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError("the front matter must be keys and values.", file=file)
    return values


def _parts(body: str, first_line: int, file: str) -> tuple[dict[str, str], dict[str, int]]:
    """The templates by part, and the line of the file on which each begins. Code fences hide headings."""
    parts: dict[str, list[str]] = {}
    starts: dict[str, int] = {}
    current: str | None = None
    fence: str | None = None
    for number, line in enumerate(body.split("\n"), first_line):
        opening = _FENCE.match(line)
        if fence is None and line.rstrip() in ("# system", "# user"):
            current = line.rstrip()[2:]
            if current in parts:
                raise SettingsError(f"line {number}: there is more than one part `# {current}`.", file=file)
            parts[current], starts[current] = [], number + 1
            continue
        if opening and (fence is None or (opening[1].startswith(fence) and line.strip() == opening[1])):
            fence = opening[1] if fence is None else None
        if current is not None:
            parts[current].append(line)
        elif line.strip():
            hint = nearest(line[2:].strip(), PARTS) if line.startswith("# ") else ""
            raise SettingsError(
                f"line {number}: text before the first part.{hint}",
                file=file,
                remedy="Begin with `# system` or `# user`.",
            )
    if "user" not in parts:
        raise SettingsError(
            "there is no part `# user`.", file=file, param="user", remedy="Add a line `# user` and its template below."
        )
    texts = {part: "\n".join(lines).rstrip() for part, lines in parts.items()}
    if not texts["user"].strip():
        raise SettingsError("the part `# user` is empty.", file=file, param="user")
    for part, lines in parts.items():
        starts[part] += next((skipped for skipped, line in enumerate(lines) if line.strip()), 0)
    return {part: text.lstrip("\n") for part, text in texts.items() if text.strip()}, starts


def _variables(values: Any, file: str) -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    for name, entry in _mapping(values, "variables", file).items():
        key = f"variables.{name}"
        if not _NAME.fullmatch(name):
            raise SettingsError("a variable's name has letters, digits and `_`.", file=file, param=key)
        if name in RESERVED or (name in BUILT_IN and name != "question"):
            raise SettingsError("this name is taken; every template has it already.", file=file, param=key)
        fields = _mapping(entry, key, file)
        for field in fields:
            if field not in VARIABLE_KEYS:
                hint = nearest(field, VARIABLE_KEYS)
                raise SettingsError(f"there is no such key.{hint}", file=file, param=f"{key}.{field}")
        kind = fields.get("type", "string")
        if not isinstance(kind, str) or kind not in TYPES or (name == "question" and kind != "string"):
            allowed = ["string"] if name == "question" else list(TYPES)
            raise SettingsError(f"{kind!r} is not a type.{nearest(str(kind), allowed)}", file=file, param=f"{key}.type")
        default = fields.get("default")
        required = "default" not in fields
        if not required and default is not None and not fits(default, kind):  # type: ignore[arg-type]
            raise SettingsError(f"{default!r} is not of type {kind}.", file=file, param=f"{key}.default")
        description = _text(fields.get("description", ""), f"{key}.description", file)
        found[name] = Variable(type=kind, required=required, default=default, description=description)  # type: ignore[arg-type]
    return found


def _examples(values: Any, file: str) -> tuple[Example, ...]:
    if values is None:
        return ()
    if not isinstance(values, list):
        raise SettingsError("must be a list of `user` and `assistant` pairs.", file=file, param="examples")
    found = []
    for position, entry in enumerate(values):
        key = f"examples.{position}"
        fields = _mapping(entry, key, file)
        for field in fields:
            if field not in EXAMPLE_KEYS:
                hint = nearest(field, EXAMPLE_KEYS)
                raise SettingsError(f"there is no such key.{hint}", file=file, param=f"{key}.{field}")
        for field in EXAMPLE_KEYS:
            if not _text(fields.get(field, ""), f"{key}.{field}", file).strip():
                raise SettingsError("this key is required.", file=file, param=f"{key}.{field}")
        found.append(Example(user=fields["user"], assistant=fields["assistant"]))
    return tuple(found)


def _output_schema(value: Any, file: str) -> dict[str, Any] | None:
    if value is None:
        return None
    from jsonschema import SchemaError  # ~0.1 s, and only where a prompt has a schema
    from jsonschema.validators import Draft202012Validator, validator_for

    schema = _mapping(value, "output_schema", file)
    for reference in _references(schema):
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise SettingsError(
                f"the reference {reference!r} leads out of the schema.",
                file=file,
                param="output_schema",
                remedy="Define it under `$defs` and refer to `#/$defs/...`.",
            )
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        path = ".".join(["output_schema", *map(str, error.absolute_path)])
        raise SettingsError(f"not a valid JSON Schema: {error.message}.", file=file, param=path) from None
    except (RecursionError, TypeError, ValueError) as error:
        raise SettingsError(f"not a valid JSON Schema: {error}.", file=file, param="output_schema") from None
    return schema


def _references(schema: Any) -> list[Any]:
    found: list[Any] = []
    stack = [schema]
    while stack:
        each = stack.pop()
        if isinstance(each, dict):
            found += [value for key, value in each.items() if key in ("$ref", "$dynamicRef", "$recursiveRef")]
            stack.extend(each.values())
        elif isinstance(each, list):
            stack.extend(each)
    return found


def _check_template(template: str, part: str, names: Mapping[str, frozenset[str] | None], line: int, file: str) -> None:
    try:
        compile_text(template, names)
    except TemplateError as error:
        where = f"line {line + error.line - 1}: "
        remedy = None
        if error.name is not None:
            where += f"{error.message}.{nearest(error.name, sorted(names))}"
            remedy = "Declare it under `variables`."
        else:
            where += f"{error.message}."
        raise SettingsError(where, file=file, param=part, remedy=remedy) from None


def _mapping(value: Any, key: str, file: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingsError(f"must be keys and values, not {value!r}.", file=file, param=key)
    return value


def _text(value: Any, key: str, file: str) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"must be text, not {value!r}.", file=file, param=key, remedy="Quote it.")
    return value
