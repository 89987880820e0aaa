"""The suites of a gate, read from a bundle: what a run must have run, to the last example, to be evidence."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rondo.datasets.model import Split, hash_of_members
from rondo.errors import InvalidRequest, SettingsError
from rondo.releases import gate_terms
from rondo.releases.bundle import file_of, is_example_file, text_of
from rondo.releases.gate_model import Terms
from rondo.releases.gate_terms import SuiteFile
from rondo.releases.model import Bundle
from rondo.settings.project import parse_suite
from rondo.settings.suites import FOLDER, with_own_files
from rondo.settings.tables import ProjectSettings


def terms_of(bundle: Bundle, settings: ProjectSettings) -> Terms:
    """The terms of a project: its goals, its gate, and the gate's suites. Raises SettingsError."""
    suites: dict[str, SuiteFile] = {}
    for at, name in enumerate(settings.gate.suites if settings.gate is not None else ()):
        path = f"{FOLDER}/{name}.toml"
        suite = parse_suite(text_of(bundle, path, f"gate.suites[{at}]"), file=path)
        suite = with_own_files(suite, lambda at, file: file_of(bundle, file, f"scorers[{at}].file"), bundle.files.get)
        is_file = is_example_file(suite.dataset)
        suites[name] = SuiteFile(
            settings=suite.model_dump(mode="json", exclude_none=True),
            dataset_hash=hash_of_file(file_of(bundle, suite.dataset, "dataset"), suite.dataset) if is_file else None,
        )
    return gate_terms.declared(settings, suites)


def hash_of_file(data: bytes, name: str) -> str:
    """The hash that the version of a dataset has which is imported from this file. Raises SettingsError."""
    from rondo.datasets.fields import Unfit  # all of these bring a lot, and few projects need them
    from rondo.datasets.formats.read import Reading, Source
    from rondo.datasets.formats.rows import Problem
    from rondo.datasets.intake import identified

    members: dict[str, Split | None] = {}  # an example that is there already is no other one
    with tempfile.TemporaryDirectory(prefix="rondo-examples-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        try:
            for example in Reading(Source(path, name.rpartition("/")[2]), Path(folder)):
                if isinstance(example, Problem):
                    raise SettingsError(f"{example}.", file=name, remedy="Correct the row.")
                members.setdefault(identified(example).id, example.split)
        except (InvalidRequest, Unfit) as error:
            raise SettingsError(str(error), file=name) from None
    return hash_of_members(list(members.items()))
