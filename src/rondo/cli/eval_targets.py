"""What `rondo eval` sends: the working tree as drafts, suites with the command line's options, files of examples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rondo.cli.check import require_sound
from rondo.cli.client import Api, segment
from rondo.errors import NotFound

if TYPE_CHECKING:  # imported where they are used: commands start fast
    from rondo.settings.evaluating import SuiteSettings


class Varied(NamedTuple):
    """What the working tree is tried with: models in the place of its route, prompt files in the place of its own."""

    models: Sequence[str] = ()
    prompts: Sequence[str] = ()


async def drafted(api: Api, project: Path, varied: Varied) -> list[str]:
    """Hashes of the drafts: the working tree, or each prompt with each model. Raises what is wrong with the folder."""
    from rondo.releases.bundle import read_folder, to_zip

    require_sound(project)
    archive = to_zip(read_folder(project, more=varied.prompts))
    prompts: Sequence[str | None] = varied.prompts or [None]
    models: Sequence[str | None] = varied.models or [None]
    return await drafts_of(api, archive, [(prompt, model) for prompt in prompts for model in models])


async def drafts_of(api: Api, archive: bytes, pairs: Sequence[tuple[str | None, str | None]]) -> list[str]:
    """Hashes of a zipped project's drafts, one for each prompt file with each route; None stands for its own."""
    hashes = []
    for prompt, route in pairs:
        told = await api.upload("/api/drafts", archive, prompt=prompt, route=route)
        hashes.append(str(told["hash"]))
    return hashes


def chosen_suite(project: Path, name: str, **options: Any) -> SuiteSettings:
    """The suite, with the options that were given over its own. Raises NotFound, SettingsError."""
    from rondo.settings.suites import FOLDER, project_file, read, with_own_files

    file = f"{FOLDER}/{name}.toml"
    find = partial(project_file, project)
    suite = with_own_files(read(project, name), lambda at, path: _own_file(project, path, file, at), find)
    return with_options(suite, file, **options)


def with_options(suite: SuiteSettings, file: str, **options: Any) -> SuiteSettings:
    """The suite, with these in the place of its own, as far as they are given. Raises SettingsError."""
    from rondo.settings.project import suite_settings

    given = {option: value for option, value in options.items() if value}
    if not given:
        return suite
    values = suite.model_dump(mode="python", exclude_none=True)
    given["tags"] = {**suite.tags, **given.get("tags", {})}
    return suite_settings({**values, **given}, file=file)


def _own_file(project: Path, path: str, file: str, at: int) -> bytes:
    """A scorer's Python file. Raises SettingsError."""
    from rondo.errors import SettingsError

    found = (project / path).resolve()
    try:
        if found.is_relative_to(project.resolve()):
            return found.read_bytes()
        reason = "it leads out of the project."
    except OSError as error:
        reason = f"{path}: {'no such file' if isinstance(error, FileNotFoundError) else error.strerror}."
    raise SettingsError(reason, file=file, param=f"scorers[{at}].file")


async def failures_of(api: Api, app: str, asked_anyway: Sequence[SuiteSettings]) -> list[SuiteSettings]:
    """The suite `must-pass` of an app, once for each dataset; without what these suites ask anyway."""
    from rondo.settings.evaluating import beside
    from rondo.settings.project import suite_settings

    try:
        told = await api.get(f"/api/apps/{segment(app)}/must-pass")
    except NotFound:
        return []  # it has never been released
    return beside([suite_settings(part["suite"], file=part["name"]) for part in told["suites"]], asked_anyway)


async def dataset_of(api: Api, project: Path, suite: SuiteSettings, name: str) -> tuple[str, str | None]:
    """The dataset that a suite names, and its version's hash; a file is sent, and a new version if it changed.

    Raises SettingsError, which names the suite's file, and what is wrong with the examples.
    """
    from rondo.errors import SettingsError
    from rondo.releases.bundle import is_example_file
    from rondo.settings.suites import FOLDER, dataset_name

    path = project / suite.dataset
    if not is_example_file(suite.dataset):
        return suite.dataset, None
    if not path.is_file():
        raise SettingsError(
            f"there is no file {suite.dataset!r:.200} of examples.",
            file=f"{FOLDER}/{name}.toml",
            param="dataset",
            remedy="It is a file relative to rondo.toml, or a stored dataset.",
        )
    stored = dataset_name(path.name)
    told = await api.upload_file(f"/api/datasets/{segment(stored)}/versions", path, filename=path.name)
    return stored, str(told["version"]["hash"])
