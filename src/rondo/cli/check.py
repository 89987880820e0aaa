"""`rondo check`: everything that can be known to be wrong with a project folder before it is released.

It reads only the folder and the environment. `rondo release` runs the same checks first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import click

from rondo.cli import output
from rondo.cli.folder_option import project_folder
from rondo.errors import InvalidRequest, RondoError, SettingsError
from rondo.settings.environment import environment
from rondo.settings.project import FILE, read
from rondo.settings.table import nearest
from rondo.settings.tables import ModelSettings, ProjectSettings

if TYPE_CHECKING:  # imported where they are used: commands start fast
    from rondo.prompts.model import Prompt
    from rondo.releases.model import Bundle


class Finding(NamedTuple):
    """One thing looked at. A warning does not hinder a release."""

    state: Literal["ok", "warning", "wrong"]
    what: str
    detail: str


@click.command("check")
@project_folder
@click.option("--json", "wants_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def command(ctx: click.Context, project: Path, wants_json: bool) -> None:
    """Check rondo.toml, the prompt, the models, the documents and the suites of a project folder, without a server.

    The exit code is 0 when the folder can be released, 2 when something must be corrected first.
    """
    findings = [*findings_in(project), *_suites(project)]
    if wants_json:
        output.as_json({"findings": [finding._asdict() for finding in findings]})
    else:
        for state, what, detail in findings:
            colour: output.Colour = {"ok": "green", "warning": "yellow", "wrong": "red"}[state]  # type: ignore[assignment]
            said = output.one_line(detail).removeprefix(f"{FILE}: ").removeprefix(f"{what}: ")
            click.echo(f"{output.paint(state.ljust(7), colour)}  {what}: {said}")
    ctx.exit(2 if any(finding.state == "wrong" for finding in findings) else 0)


def require_sound(project: Path) -> ProjectSettings:
    """The folder's settings. Raises InvalidRequest or SettingsError for the first thing that is wrong."""
    settings = read(project)
    for finding in findings_in(project):
        if finding.state == "wrong":
            raise InvalidRequest(finding.detail)
    return settings


def findings_in(project: Path) -> Iterator[Finding]:
    """Look at everything in turn; one wrong thing does not hide the next."""
    try:
        settings = read(project)
    except SettingsError as error:
        yield Finding("wrong", FILE, str(error))
        return
    yield Finding(
        "ok",
        FILE,
        f"the app {settings.app.name}, {_number(settings.models, 'model')}, {_number(settings.goals, 'goal')}",
    )
    for name, model in settings.models.items():
        yield _model(name, model, on_route=name in settings.app.route)
    yield from _params(settings)
    yield from _live(settings)
    yield from _files(project, settings)
    for name in settings.knowledge:
        if name != settings.app.knowledge:
            yield Finding("warning", f"knowledge.{name}", "the app does not use it: `app.knowledge` names another.")


def _params(settings: ProjectSettings) -> Iterator[Finding]:
    """Values that TOML has and JSON has not."""
    from rondo.releases.manifest import check_json

    tables = {"app.params": settings.app.params}
    tables |= {f"models.{name}.params": model.params for name, model in settings.models.items()}
    for key, values in tables.items():
        try:
            check_json(values, key)
        except SettingsError as error:
            yield Finding("wrong", key, str(error))


def _live(settings: ProjectSettings) -> Iterator[Finding]:
    """Scorers that could score no call."""
    if settings.live is None:
        return
    from rondo.evals import alone

    try:
        alone.check(settings)
    except SettingsError as error:
        yield Finding("wrong", error.param or "live", str(error))
    else:
        yield Finding("ok", "live", _number(settings.live.scorers, "scorer"))


def _files(project: Path, settings: ProjectSettings) -> Iterator[Finding]:
    """The prompt, and the documents of the app's knowledge, as a release would take them."""
    from rondo.prompts.source import parse_prompt
    from rondo.releases.bundle import documents, prompt_of, read_folder

    try:
        bundle = read_folder(project)
        path, text = prompt_of(bundle, settings)
    except RondoError as error:
        yield Finding("wrong", "files", str(error))
        return
    try:
        prompt = parse_prompt(text, file=path)
    except SettingsError as error:
        yield Finding("wrong", "prompt", str(error))
    else:
        variables = ", ".join(prompt.variables) or "none"
        yield Finding("ok", "prompt", f"{path}, version {output.short(prompt.version)}, variables: {variables}")
        yield from _conduct(bundle, settings, prompt)
    yield _gate(bundle, settings)
    if settings.app.knowledge is not None:
        files = documents(bundle, settings)
        size = sum(len(content) for content in files.values())
        yield Finding("ok", f"knowledge.{settings.app.knowledge}", f"{len(files)} files, {size / 1024:,.0f} KiB")


def _gate(bundle: Bundle, settings: ProjectSettings) -> Finding:
    """What a release must show, to the last example."""
    from rondo.releases.gate_suites import terms_of

    try:
        gate = terms_of(bundle, settings).gate
    except SettingsError as error:
        return Finding("wrong", error.param or "gate", str(error))
    if gate is None:
        return Finding("ok", "gate", "none is declared: any release may take traffic")
    return Finding("ok", "gate", f"releases must pass {', '.join(gate.suites)}")


def _suites(project: Path) -> Iterator[Finding]:
    """Each suite, with its scorers and its file of examples. What is wrong with one keeps no other from being run."""
    from rondo.settings import suites

    try:
        judges = read(project).judges
    except SettingsError:
        return  # said already
    for name in suites.names(project):
        try:
            yield Finding("ok", f"suites.{name}", _suite(project, name, judges))
        except RondoError as error:
            yield Finding("wrong", f"suites.{name}", str(error))


def _suite(project: Path, name: str, judges: Collection[str]) -> str:
    """Raises SettingsError."""
    from rondo.evals.scorers.registry import checked
    from rondo.releases.bundle import is_example_file
    from rondo.settings import suites

    file = f"{suites.FOLDER}/{name}.toml"
    suite = suites.read(project, name)
    for at, scorer in enumerate(suite.scorers):
        judge = getattr(checked(scorer, file=file, key=f"scorers[{at}]"), "judge", None)
        if judge is not None and judge not in judges:
            param = f"scorers[{at}].judge"
            raise SettingsError(f"no judge is called {judge!r}.{nearest(judge, list(judges))}", file=file, param=param)
    if is_example_file(suite.dataset) and not (project / suite.dataset).is_file():
        raise SettingsError(f"there is no file {suite.dataset!r}.", file=file, param="dataset")
    return f"{_number(suite.scorers, 'scorer')} on {suite.dataset}"


def _conduct(bundle: Bundle, settings: ProjectSettings, prompt: Prompt) -> Iterator[Finding]:
    """Rules, classifiers and guards, as a release would take them."""
    from rondo.releases.conduct import declare
    from rondo.rules.declared import in_words

    if not (settings.rules or settings.classifiers or settings.guards):
        return
    try:
        conduct = declare(bundle, settings, prompt)
    except SettingsError as error:
        yield Finding("wrong", error.param or FILE, str(error))
        return
    if conduct.rules:
        yield Finding("ok", "rules", f"{len(conduct.rules)}, tried in order")
    for name, report in conduct.reports.items():
        yield Finding("ok", f"classifiers.{name}", in_words(report))
    if conduct.guards:
        told = (f"{each['check']} ({each.get('action', 'flag')})" for each in conduct.guards)
        yield Finding("ok", "guards", ", ".join(told))


def _model(name: str, model: ModelSettings, *, on_route: bool) -> Finding:
    from rondo.providers.registry import HOMELESS, LOCAL, SUMMARIES, has_key, key_names, key_variable

    what = f"models.{name}"
    if model.provider not in SUMMARIES:
        hint = nearest(model.provider, SUMMARIES)
        return Finding("wrong", what, f"{FILE}: {what}.provider: there is no provider called {model.provider!r}.{hint}")
    if model.provider in LOCAL:
        return Finding("ok", what, model.provider)
    if model.base_url is None and model.provider in HOMELESS:
        return Finding("wrong", what, f"{FILE}: {what}.base_url: {model.provider} has no address of its own: set it.")
    variable = key_variable(model.provider, base_url=model.base_url, api_key_env=model.api_key_env)
    label = f"{model.provider}/{model.model}"
    if variable is not None and not has_key(model.provider, variable, environment):
        used = "on the route" if on_route else "not on the route"
        needed = key_names(model.provider, variable)
        return Finding("warning", what, f"{label} ({used}) needs {needed} in the server's environment; not set here.")
    return Finding("ok", what, label)


def _number(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
