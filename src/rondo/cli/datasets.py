"""`rondo datasets`: examples, imported, split, compared, exported; and calls that become tests."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import click

from rondo.cli import output
from rondo.cli.calls import new_file, write_whole
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.datasets_show import (
    print_difference,
    print_examples,
    print_imported,
    print_list,
    print_regressions,
    print_report,
    print_version,
    print_versions,
)
from rondo.datasets.formats.names import DATA, DESCRIPTIONS, EXPORT_FORMATS, FORMATS
from rondo.datasets.model import SPLITS
from rondo.errors import InvalidRequest, NotFound

_COLUMNS = (
    ("input", "Column that holds the question, or a list of messages."),
    ("expected", "Column that holds the right answer."),
    ("system", "Column that holds the system's message."),
    ("context", "Column that holds passages, in the place of retrieval."),
    ("sources", "Column that names the documents that hold the answer."),
    ("hand-over", "Column that says whether a person should be called."),
    ("group", "Column whose value keeps examples together: a customer, a conversation."),
    ("split-column", "Column that holds the split."),
    ("id-column", "Column that holds the row's own id."),
)


@click.group("datasets")
def command() -> None:
    """Import, show, split, compare and export datasets; make failures tests. Versions never change."""


@command.command("list")
@click.argument("dataset", required=False)
@connected
async def list_(api: Api, dataset: str | None) -> None:
    """List the datasets, or the versions of DATASET, newest first."""
    if dataset is None:
        api.show(await api.get("/api/datasets"), print_list)
    else:
        api.show(await api.get(f"/api/datasets/{segment(dataset)}"), print_versions)


def _columns(run: Any) -> Any:
    run = click.option("--variable", "variable", multiple=True, help="Column that is an input of the prompt.")(run)
    run = click.option(
        "--tag", "tag_column", multiple=True, help="Column that becomes a tag; several times for several."
    )(run)
    for name, words in reversed(_COLUMNS):
        run = click.option(f"--{name}", metavar="COLUMN", help=words)(run)
    return run


@command.command("import")
@click.argument("dataset")
@click.argument("source", metavar="[FILE]", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--format", "kind", type=click.Choice(FORMATS), help="The file's format; it is recognised by default.")
@click.option("--calls", is_flag=True, help="Import recorded calls, instead of a file.")
@click.option(
    "--where",
    multiple=True,
    metavar="FILTER=VALUE",
    help="Only calls that match: app=support-bot, negative=true, since=7d, ... as `rondo calls list` has them.",
)
@click.option("--limit", type=click.IntRange(1, 100_000), help="The newest so many calls; 10000 by default.")
@click.option("--answers-are-right", is_flag=True, help="Expect what the calls answered, e.g. with negative=false.")
@click.option("--append", is_flag=True, help="Add to the newest version, rather than replace it.")
@click.option(
    "--scrub/--no-scrub",
    default=None,
    help="Take out personal data and secrets; for calls, by default. They are counted anyway.",
)
@click.option("--skip-bad", is_flag=True, help="Leave out rows that cannot be taken, and count them.")
@click.option(
    "--deduplicate",
    type=click.Choice(["none", "same", "near"]),
    help="Keep one example of the same input (for calls, by default), or of nearly the same.",
)
@click.option("--tag-language", is_flag=True, help="Give each example the tag `language`.")
@click.option("--split", "divide", metavar="RATIOS", help="Split it too: 70/15/15, or 80/20 for train and test.")
@click.option("--stratify", metavar="TAG", help="Split each value of this tag (or `expected`) in the same ratios.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws the lots of a split.")
@click.option("--config", help="Which config of a Hugging Face folder.")
@click.option("--note", default="", help="A line about this version.")
@_columns
@connected
async def import_(api: Api, dataset: str, source: Path | None, calls: bool, **options: Any) -> None:
    """Make a version of DATASET from FILE, or with --calls from what was asked in production.

    FILE is JSONL, CSV, Parquet, OpenAI's chat or evals format, promptfoo's tests, Label Studio's JSON, or a folder of
    Hugging Face datasets. The same content is the same version. Either the whole file is taken or nothing.
    """
    if calls == (source is not None):
        raise click.UsageError("Name a file, or say --calls.")
    if calls:
        answer = await _import_calls(api, dataset, options)
    else:
        assert source is not None
        answer = await _import_file(api, dataset, source, options)
    api.show(answer, print_imported)


async def _import_calls(api: Api, dataset: str, options: dict[str, Any]) -> Any:
    names = ("limit", "answers_are_right", "append", "scrub", "deduplicate", "tag_language", "divide", "seed", "note")
    body = {name: options.pop(name) for name in names if options[name] is not None}
    where = dict(_pair(words, "filter") for words in options.pop("where"))
    unfit = [name for name, value in options.items() if value and name != "seed"]
    if unfit:
        raise click.UsageError(f"--{unfit[0].replace('_', '-')} is for files.")
    return await api.post(f"/api/datasets/{segment(dataset)}/calls", {**body, "filters": where}, slow=True)


async def _import_file(api: Api, dataset: str, source: Path, options: dict[str, Any]) -> Any:
    for name in ("where", "limit", "answers_are_right"):
        if options.pop(name):
            raise click.UsageError(f"--{name.replace('_', '-')} is for --calls.")
    columns = {"split": options.pop("split_column"), "id": options.pop("id_column"), "tag": options.pop("tag_column")}
    params = {"format": options.pop("kind"), **columns, **options}
    path = f"/api/datasets/{segment(dataset)}/versions"
    with tempfile.TemporaryDirectory(prefix="rondo-zip-") as folder:
        file, name = _file_of(source, Path(folder))
        return await api.upload_file(path, file, filename=name, **params)


@command.command("show")
@click.argument("dataset", metavar="DATASET[@VERSION]")
@click.option("--report", is_flag=True, help="Show the quality report.")
@click.option("--split", type=click.Choice(SPLITS), help="Only examples of this split.")
@click.option("--tag", help="Only examples with this tag: KEY or KEY=VALUE.")
@click.option("--text", help="Only examples that hold this text.")
@click.option("--must-pass", is_flag=True, default=None, help="Only tests that must pass.")
@click.option(
    "--limit", type=click.IntRange(0, 1_000), default=10, show_default=True, help="How many examples to show."
)
@click.option("--after", type=click.IntRange(0), help="Go on from where a list ended.")
@connected
async def show(api: Api, dataset: str, report: bool, limit: int, **chosen: Any) -> None:
    """Show a version: what it is, its examples, or its quality report."""
    path = _version_path(dataset)
    version = await api.get(path)
    if report:
        api.show(version, print_report)
        return
    page = await api.get(f"{path}/examples", limit=max(limit, 1), **chosen)
    if api.wants_json:
        output.as_json(page)
        return
    print_version(version)
    if limit:
        print_examples(page)


@command.command("split")
@click.argument("dataset", metavar="DATASET[@VERSION]")
@click.option("--ratios", default="70/15/15", show_default=True, help="Train/validation/test, or train/test.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws the lots.")
@click.option("--stratify", metavar="TAG", help="Split each value of this tag (or `expected`, `hand_over`) alike.")
@click.option("--group-by", metavar="TAG", help="Keep the values of this tag together.")
@connected
async def split(api: Api, dataset: str, *, ratios: str, seed: int, stratify: str | None, group_by: str | None) -> None:
    """Divide a version into train, validation and test, as the next version.

    Near-duplicates and groups stay together, and tests that must pass are in test. The same seed divides alike.
    """
    name, _, version = dataset.partition("@")
    try:
        numbers = [float(word) for word in ratios.split("/")]
    except ValueError:
        raise InvalidRequest(f"These are no ratios: {ratios!r}.", remedy="Write them as 70/15/15.") from None
    body = {"ratios": numbers, "seed": seed, "stratify": stratify, "group_by": group_by, "version": version or None}
    answer = await api.post(f"/api/datasets/{segment(name)}/split", body, slow=True)
    api.show(answer, print_version)


@command.command("diff")
@click.argument("dataset")
@click.argument("before", required=False, metavar="FROM")
@click.argument("after", required=False, metavar="TO")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="How many of each to show.")
@connected
async def diff(api: Api, dataset: str, before: str | None, after: str | None, limit: int) -> None:
    """Show what differs between two versions of DATASET; by default, what the newest one changed."""
    answer = await api.get(f"/api/datasets/{segment(dataset)}/diff", from_=before, to=after, limit=limit)
    api.show(answer, print_difference)


@command.command("export")
@click.argument("dataset", metavar="DATASET[@VERSION]")
@click.option(
    "--format", "kind", type=click.Choice(EXPORT_FORMATS), default="jsonl", show_default=True, help="The file's format."
)
@click.option("--split", type=click.Choice(SPLITS), help="Only examples of this split.")
@click.option("--answered-only", is_flag=True, help="Leave out examples that do not say what is right.")
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    callback=new_file,
    help="The file to write, whole or not at all.",
)
@click.option("--force", is_flag=True, is_eager=True, help="Replace the file if there is one.")
@connected
async def export(
    api: Api, dataset: str, *, kind: str, split: str | None, answered_only: bool, target: Path, force: bool
) -> None:
    """Write a version's examples as a file; jsonl, csv, parquet hold everything and come back as the same version."""
    del force  # has had its say when the file was named
    parts = api.download(f"{_version_path(dataset)}/export", format=kind, split=split, answered_only=answered_only)
    size = await write_whole(parts, target)
    click.echo(f"wrote {target}, {size:,} bytes", err=True)


@command.command("add")
@click.argument("dataset")
@click.option("--call", "trace", required=True, metavar="TRACE", help="The recorded call.")
@click.option("--expected", help="The right answer.")
@click.option("--hand-over/--no-hand-over", default=None, help="Whether a person should have been called.")
@click.option("--contains", multiple=True, metavar="TEXT", help="The answer must hold this text.")
@click.option("--lacks", multiple=True, metavar="TEXT", help="The answer must not hold this text.")
@click.option("--source", "sources", multiple=True, help="A document that holds the answer.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag of the example.")
@click.option("--may-fail", is_flag=True, help="Do not stop releases that fail it.")
@click.option("--scrub/--no-scrub", default=True, show_default=True, help="Take out personal data and secrets.")
@connected
async def add(
    api: Api, dataset: str, *, trace: str, scrub: bool, may_fail: bool, tags: tuple[str, ...], **said: Any
) -> None:
    """Make a failure a test: a recorded call, with what should have been answered, that must pass from now on."""
    expectation = {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}
    body = {
        "trace_id": trace,
        "scrub": scrub,
        "expectation": {**expectation, "tags": dict(_pair(tag, "tag") for tag in tags), "must_pass": not may_fail},
    }
    answer = await api.post(f"/api/datasets/{segment(dataset)}/examples", body, slow=True)
    api.show(answer, _print_added)


@command.command("regressions")
@click.option("--app", help="Only of this app.")
@click.option("--dataset", help="Only of this dataset.")
@click.option("--open", "open_", is_flag=True, help="Only those that no release has fixed.")
@connected
async def regressions(api: Api, app: str | None, dataset: str | None, open_: bool) -> None:
    """List calls that became tests: the release that broke each, and the one that fixed it."""
    api.show(await api.get("/api/regressions", app=app, dataset=dataset, open_=open_), print_regressions)


def _print_added(added: dict[str, Any]) -> None:
    version, example = added["version"], added["example"]
    label = output.one_line(f"{version['dataset']}@{version['number']}")
    if not added["created"]:
        click.echo(f"It is a test already, in {label}.")
        return
    broke = example.get("provenance", {}).get("broke")
    click.echo(f"{label}  {example['id']}" + (f"  broken by {output.one_line(broke)}" if broke else ""))
    name = output.one_line(version["dataset"])
    if broke:
        click.echo("Every release has to pass it from now on, before its gate opens: rondo eval must-pass")
    click.echo(f'Suites with dataset = "{name}" ask it too; a suite that names a file asks what is in the file:')
    click.echo(f"  rondo datasets export {name} --force -o FILE")


def _version_path(label: str) -> str:
    name, _, version = label.partition("@")
    return f"/api/datasets/{segment(name)}/versions/{segment(version or 'latest')}"


def _pair(words: str, what: str) -> tuple[str, str]:
    name, equals, value = words.partition("=")
    if not equals or not name:
        raise InvalidRequest(f"{words!r} is no {what}.", remedy="Write NAME=VALUE.")
    return name, value


def _file_of(source: Path, folder: Path) -> tuple[Path, str]:
    """What is sent, and what it is called: a folder is zipped into `folder` first."""
    if not source.is_dir():
        return source, source.name
    return _zipped(source, folder / "folder.zip"), f"{source.resolve().name}.zip"


def _zipped(folder: Path, target: Path) -> Path:
    """A folder's files of data, and what describes them; links are not followed. Raises NotFound."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and (path.suffix.lower() in DATA or path.name in DESCRIPTIONS)
    ]
    if not any(path.name not in DESCRIPTIONS for path in files):
        raise NotFound(f"{folder} has no files of data.", remedy=f"They end in {', '.join(DATA)}.")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        for path in files:
            zipped.write(path, path.relative_to(folder).as_posix())
    return target
