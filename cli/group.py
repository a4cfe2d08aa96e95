"""The group of all commands: turns refusals into diagnostics and exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import click

from ..diagnostics import Diagnostic, Refused


class Group(click.Group):
    """Turns refusals into diagnostics and exit codes; anything else that escapes is a bug in dagc."""

    def invoke(self, ctx: click.Context) -> Any:
        as_json = "--json" in sys.argv
        try:
            return super().invoke(ctx)
        except Refused as refused:
            say(refused.diagnostics, as_json)
            ctx.exit(2 if refused.usage else 1)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            click.echo(f"dagc: a bug in dagc, please report it: {type(error).__name__}: {error}", err=True)
            if "--traceback" in sys.argv:
                raise
            ctx.exit(3)


def say(diagnostics: Iterable[Diagnostic], as_json: bool) -> None:
    """Diagnostics on stderr, and as JSON on stdout where it was asked for."""
    found = list(diagnostics)
    if as_json:
        click.echo(json.dumps({"diagnostics": [d.as_dict() for d in found]}, indent=1, ensure_ascii=False))
    for diagnostic in found:
        click.echo(f"{diagnostic}\n", err=True)
