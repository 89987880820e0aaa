"""`rondo`: the list of commands, and how an error reaches the terminal.

A command's module is imported only when that command runs, so `rondo --help` costs little more than click itself.
Exit codes: 0 done, 1 failed, 2 used wrongly (bad arguments, bad settings).
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import IO, Any

import click

from rondo.errors import RondoError

SECTIONS: dict[str, dict[str, str]] = {
    "Start": {
        "init": "Make a project folder: rondo.toml, a prompt, documents.",
        "check": "Check a project folder without a server.",
        "up": "Start the server: gateway, API and console on one port.",
    },
    "Release": {
        "release": "Freeze the project folder into a numbered, immutable release.",
        "releases": "List, show and compare releases.",
        "rollout": "Roll a release out step by step, by evidence; back by itself.",
        "promote": "Make a release the stable one, for all traffic.",
        "split": "Give candidates a share of the traffic, or end the split.",
        "shadow": "Copy a share of the requests to a candidate that nobody sees.",
        "rollback": "Go back to an earlier stable release at once.",
    },
    "Watch": {
        "status": "Show what serves whom, goals met or missed, and the records' way to the store.",
        "alerts": "Show what fires, look after it, silence it, and try channels out.",
        "why": "Tell the whole story of one answer.",
        "calls": "List, show, follow and export recorded calls.",
        "traces": "List traces, and show one as a tree.",
        "drift": "Show whether what is asked, found and answered changes, and look now.",
        "patterns": "Put calls that went wrong together to named patterns, and make them tests.",
        "costs": "Show what calls cost, forecast the month, and try another model's price.",
        "feedback": "Send and list judgements of answers.",
        "batches": "List, show and cancel batches of requests.",
        "grafana": "Export the dashboard for Grafana and the alert rules for Prometheus.",
    },
    "Evaluate": {
        "scorers": "List what can score answers, each with its definition and source.",
        "datasets": "Import, show, split, compare and export datasets; make failures tests.",
        "eval": "Run suites of examples, and say what is better or worse.",
        "runs": "List, show, pause, resume, cancel and export evaluation runs.",
        "compare": "Try prompts × models on a suite, and rank them by what counts.",
        "redteam": "Attack the app, and show what goes through.",
        "gate": "Say whether a release, or the working tree, may take traffic, and what it lacks.",
        "judges": "List, show and calibrate judges, and label answers for them.",
        "reviews": "Review answers: the queue, what people say, how far they agree.",
    },
    "Parts": {
        "prompts": "List, show and compare the stored versions of prompts.",
        "knowledge": "Build, list and search indexes of documents.",
        "models": "List the models and the providers there are, and try the models out.",
        "route": "Explain which models would answer a request.",
    },
    "Govern": {
        "keys": "Create, list and revoke keys.",
        "limits": "Set limits and budgets, and show how much of them is used.",
        "audit": "Show who did what to what, and when.",
        "doctor": "Check the running server and say what to do about each finding.",
        "settings": "Explain every environment variable and every key of rondo.toml.",
    },
}
COMMANDS: dict[str, str] = {name: sentence for section in SECTIONS.values() for name, sentence in section.items()}


class Failed(click.ClickException):
    """An error of ours, as one line on stderr."""

    def __init__(self, error: RondoError) -> None:
        super().__init__(" ".join(str(error).split()))

    def show(self, file: IO[Any] | None = None) -> None:
        from rondo.cli.output import plain

        click.echo(f"error: {plain(self.message)}", err=True)


class Misused(Failed):
    exit_code = 2


class Commands(click.Group):
    """The commands above, each in the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"rondo.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise click.exceptions.NoSuchCommand(name, possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(list(commands.items()), col_max=12)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RondoError as error:
            kind = Misused if error.code in ("invalid_settings", "invalid_request") else Failed
            raise kind(error) from None


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"rondo {metadata.version('rondo')}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Print the version."
)
def main() -> None:
    """Rondo serves your LLM app, records every answer, and tells you why it said what it said.

    Begin with `rondo init my-bot`, then `rondo up` inside the new folder.
    """


if __name__ == "__main__":
    main()
