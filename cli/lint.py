"""`dagc lint FILE.dot…`: the rules of a drawn graph, on anyone's DOT."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..diagnostics import Diagnostic, Refused

if TYPE_CHECKING:
    from ..frontends.dot.graphviz import Graphviz

FORMATS = ("text", "json", "github", "sarif")
EXAMPLES = """
\b
Examples:
  dagc lint graph.dot                        what breaks a rule: code, line, node, hint
  dagc lint *.dot --select DIM1,DIM5         these rules only
  dagc lint graph.dot --ignore NODE5         all but this one
  dagc lint graph.dot --knowledge rules/     the rules that a house states in words
  dagc lint graph.dot --format github        annotations of a pull request
  dagc explain DIM1                          what a rule demands
"""


@click.command(epilog=EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE.dot...")
@click.option("--select", multiple=True, metavar="CODE", help="Check only these rules. May be repeated.")
@click.option("--ignore", multiple=True, metavar="CODE", help="Leave out these rules. May be repeated.")
@click.option(
    "--knowledge",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Check only the rules of drawn graphs that files there state in words, and those selected.",
)
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True, help="How to report.")
@click.option("--json", "as_json", is_flag=True, help="Short for --format json.")
@click.option("--traceback", is_flag=True, hidden=True)
def lint(
    files: tuple[Path, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    knowledge: Path | None,
    style: str,
    as_json: bool,
    traceback: bool,
) -> None:
    """Check drawn graphs against the rules of a deployment DAG. Exit code 1 when a rule is broken."""
    from ..backends.annotations import WRITERS
    from ..frontends.dot.graphviz import Graphviz

    chosen, left = _codes(select) | _stated(knowledge), _codes(ignore)
    with Graphviz() as graphviz:
        found = [each for file in files for each in _judged(file, graphviz)]
    found = [each for each in found if each.code not in left and not _is_left_out(each, chosen)]
    click.echo(WRITERS["json" if as_json else style](found, [str(file) for file in files]), nl=False)
    if any(each.severity == "error" for each in found):
        click.get_current_context().exit(1)


def _judged(file: Path, graphviz: Graphviz) -> list[Diagnostic]:
    """What a file breaks; what hinders reading it, where it cannot be read."""
    from ..frontends.dot.reader import read_dot
    from ..passes.lint import lint as judge

    try:
        return [each for drawing in read_dot(file, graphviz) for each in judge(drawing)]
    except Refused as refused:
        return list(refused.diagnostics)


def _is_left_out(each: Diagnostic, chosen: set[str]) -> bool:
    """Choosing rules hides other rules, never that a file cannot be read."""
    from ..passes.lint import RULES

    return bool(chosen) and each.code in RULES and each.code not in chosen


def _stated(knowledge: Path | None) -> set[str]:
    """The codes of the rules that a folder states in words. Refused where it states none."""
    if knowledge is None:
        return set()
    from ..frontends.paper.knowledge.folder import knowledge_of
    from ..ruling import profile

    found = profile(rule for file in knowledge_of(knowledge) for rule in file.rules)
    if not found:
        problem, hint = "no file states a rule of drawn graphs", "`dagc explain DIM1` shows how rules are said"
        raise Refused(Diagnostic("file", problem, str(knowledge), hint=hint), usage=True)
    return set(found)


def _codes(words: tuple[str, ...]) -> set[str]:
    """Codes as they are spelled in the catalogue, from `DIM1,dim5`."""
    from ..codes import CODES
    from ..diagnostics import nearest

    known = {code.lower(): code for code in CODES}
    asked = [word.strip() for text in words for word in text.split(",") if word.strip()]
    for word in asked:
        if word.lower() not in known:
            raise Refused(
                Diagnostic("unknown-key", f"no rule has the code {word}", hint=nearest(word, CODES)), usage=True
            )
    return {known[word.lower()] for word in asked}
