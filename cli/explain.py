"""`dagc explain CODE`: what a code means. `dagc explain FOLDER --value NAME`: why a value is as it is."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..diagnostics import Diagnostic, Refused

EXAMPLES = """
\b
Examples:
  dagc explain DIM3
  dagc explain dagc-out --value layers.attention.o_proj      an operator: its layout, and by which rules
  dagc explain dagc-out --value all_to_all_23_gpu0           a node of the DOT: here a move, and for whom it is
"""


@click.command(epilog=EXAMPLES)
@click.argument("what", metavar="CODE|FOLDER")
@click.option(
    "--value", "name", metavar="NAME", help="A path, a tensor's name, or a node of the DOT of an output folder."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def explain(what: str, name: str | None, as_json: bool) -> None:
    """Say what a diagnostic or rule CODE means, or why a value in an output FOLDER is laid out as it is."""
    if name is not None:
        _value(Path(what), name, as_json)
        return
    from ..codes import CODES, RULES
    from ..diagnostics import nearest

    found = next((known for known in (*CODES, *RULES) if known.lower() == what.lower()), None)
    if found is None:
        problem, hint = f"no diagnostic or rule has the code {what}", nearest(what, {*CODES, *RULES})
        raise Refused(Diagnostic("unknown-key", problem, hint=hint), usage=True)
    lines = [RULES[found]] if found in RULES else []
    lines += [CODES[found].meaning, CODES[found].mend] if found in CODES else []
    if as_json:
        click.echo(json.dumps({"code": found, "says": lines}, indent=1, ensure_ascii=False))
        return
    click.echo("\n  ".join([found, *lines]))


def _value(folder: Path, name: str, as_json: bool) -> None:
    from .. import explaining
    from ..backends import explained

    found = explaining.explain(folder, name)
    if as_json:
        click.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    click.echo("\n\n".join(map(explained.text, found)))
