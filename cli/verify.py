"""`dagc verify`: checks an output folder, a module, or every deployment of a description again."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..diagnostics import Diagnostic, Refused
from .asking import asked, request_of
from .lint import FORMATS

if TYPE_CHECKING:
    from ..recheck import Checked

EXAMPLES = """
\b
Examples:
  dagc verify dagc-out                       a folder, from its files alone: made anew, compared, checked
  dagc verify graphs/mixtral/ep.mlir         a module, and the graph it emits if it is lowered
  dagc verify experiment.yaml                every deployment of a description; nothing is written
  dagc verify llama-3.1-70b --strategy tp=8 --numeric
  dagc verify deployments/*.yaml --format github
"""


@click.command(epilog=EXAMPLES)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@asked
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True, help="How to report.")
@click.option("--json", "as_json", is_flag=True, help="All that was shown and found, as JSON on stdout.")
@click.option("--traceback", is_flag=True, hidden=True)
def verify(paths: tuple[str, ...], style: str, as_json: bool, traceback: bool, **flags: Any) -> None:
    """Check every PATH by all layers of defence. Exit code 1 when a check fails."""
    by_path = {path: _checked(path, flags) for path in paths}
    checked = [each for found in by_path.values() for each in found]
    if as_json:
        data = {"paths": paths, "deployments": [_data(each) for each in checked]}
        click.echo(json.dumps(data, indent=1, ensure_ascii=False))
    else:
        _said(by_path, style)
    if any(d.severity == "error" for each in checked for d in each.diagnostics):
        click.get_current_context().exit(1)


def _checked(path: str, flags: dict[str, Any]) -> list[Checked]:
    """The deployments of a path; what hinders reading or planning them, where they cannot be checked."""
    from ..checking import check
    from ..recheck import Checked

    try:
        return check(request_of(path, flags))
    except Refused as refused:
        return [Checked(path, found=list(refused.diagnostics))]


def _said(by_path: dict[str, list[Checked]], style: str) -> None:
    """What was found as others' tools take it; a line per deployment for a person."""
    from ..backends.annotations import WRITERS

    pairs = [(path, d) for path, checked in by_path.items() for each in checked for d in each.diagnostics]
    found = [d if style == "text" else _located(d, path) for path, d in pairs]
    if found or style != "text":
        click.echo(WRITERS[style](found, list(by_path)), nl=False)
    for each in (each for checked in by_path.values() for each in checked if style == "text"):
        click.echo(_line(each))


def _located(diagnostic: Diagnostic, path: str) -> Diagnostic:
    """A diagnostic about a file of the user's: what stands in a file of dagc's is said of the path that led there."""
    from ..backends.annotations.place import place_of

    if Path(place_of(diagnostic).file).exists():
        return diagnostic
    where = f" ({diagnostic.where})" if diagnostic.where else ""
    return replace(diagnostic, where=path, problem=f"{diagnostic.problem}{where}")


def _line(each: Checked) -> str:
    errors = sum(d.severity == "error" for d in each.diagnostics)
    caught = f", first caught by: {each.verdict.caught_by}" if each.verdict.caught_by else ""
    if errors:
        return f"{each.name}: {errors} error{'s' * (errors > 1)}{caught}"
    layers = ", ".join(layer.name for layer in each.verdict.layers)
    return f"{each.name}: ok under {len(each.verdict.preconditions)} preconditions ({layers})"


def _data(each: Checked) -> dict[str, Any]:
    verdict = each.verdict
    layers = [
        {"name": layer.name, "holds": layer.holds, "shows": layer.shows, "facts": layer.facts}
        for layer in verdict.layers
    ]
    return {
        "name": each.name,
        "valid": not any(d.severity == "error" for d in each.diagnostics),
        "caught_by": verdict.caught_by,
        "layers": layers,
        "preconditions": [asdict(precondition) for precondition in verdict.preconditions],
        "bounds": verdict.bounds,
        "diagnostics": [d.as_dict() for d in each.diagnostics],
    }
