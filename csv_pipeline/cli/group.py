"""What is around every command: its words and logs, and how it ends where it fails.

Exit codes: 0 done, also when the file was imported before; 1 the file was refused or failed, or has
a warning and `--strict` was asked for; 2 a setting, a name or an option is wrong; 3 not now: the
database does not answer or another worker has the file. An error of the pipeline is one line on
stderr; a traceback is a bug.
"""

from itertools import pairwise
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from csv_pipeline.errors import LostClaimError, PipelineError, SetupError, UnavailableError


class Commands(TyperGroup):
    """The commands; an error of the pipeline ends them by one line and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Refuse words, such as paths, that have bytes which are not UTF-8: none can be stored."""
        for word in args:
            if any("\udc80" <= letter <= "\udcff" for letter in word):
                shown = word.encode(errors="surrogateescape").decode(errors="backslashreplace")
                typer.echo(
                    f"csv-pipeline: {shown}: text in UTF-8 was needed; it has other bytes: "
                    "rename the file",
                    err=True,
                )
                raise typer.Exit(2)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except PipelineError as error:
            typer.echo(f"csv-pipeline: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(_exit_code(error)) from error


class OneValue(TyperCommand):
    """A command whose options have one value, or are lists: none overrules another unseen."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Refuse an option that is given twice with different values, and show both."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for one in given:
            if not isinstance(one, TyperOption) or one.multiple or one.is_flag:
                continue
            values = [word for name, word in pairwise(args) if name in one.opts]
            values += [
                word.partition("=")[2] for word in args if word.partition("=")[0] in one.opts
            ]
            values = list(dict.fromkeys(filter(None, values)))
            if len(values) > 1:
                shown = " and ".join(map(repr, values))
                raise SetupError(f"{one.opts[0]}: one value was needed; found {shown}")
        return super().parse_args(ctx, args)


def _exit_code(error: PipelineError) -> int:
    match error:
        case SetupError():
            return 2
        case UnavailableError() | LostClaimError():
            return 3
        case _:
            return 1
