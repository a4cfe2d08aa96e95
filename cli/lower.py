"""`dagc lower`: flags → driver → files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..diagnostics import Diagnostic, Refused
from .asking import asked, request_of
from .paper import asked_of, reads_papers

if TYPE_CHECKING:
    from ..frontends.paper.facts import Reading
    from ..job import Job, Request
    from ..papers import Asked

EXAMPLES = """
\b
Examples:
  dagc lower --strategy ep                                   the built-in 16-layer MoE on 16 GPUs
  dagc lower mixtral-8x22b --strategy ep --gpus 8 --baseline tp=8
  dagc lower path/to/config.json --strategy dp=2,tp=4,pp=2 --batch-size 32 --seq-len 4096
  dagc lower experiment.yaml --out graphs
  dagc lower paper.md                                        its method and its baseline, for every model in it
"""


@click.command(epilog=EXAMPLES)
@click.argument("source", required=False)
@asked
@reads_papers
@click.option("--out", type=click.Path(path_type=Path), default="dagc-out", show_default=True, help="Output folder.")
@click.option("--force", is_flag=True, help="Write into a folder that dagc did not write.")
@click.option("--no-svg", is_flag=True, help="Write no pictures.")
@click.option("--full-svg", is_flag=True, help="Draw pictures past 20,000 nodes.")
@click.option("--full", is_flag=True, help="Write the per-GPU DOT past 300,000 nodes.")
@click.option("--dump-ir", type=click.Path(path_type=Path), help="Write the module after every pass into this folder.")
@click.option("--print-ir-after-all", is_flag=True, help="Print the module after every pass, on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest and diagnostics as JSON on stdout.")
@click.option("--traceback", is_flag=True, hidden=True)
def lower(
    source: str | None, out: Path, as_json: bool, dump_ir: Path | None, print_ir_after_all: bool, **flags: Any
) -> None:
    """Lower SOURCE (a config.json, a folder with one, a built-in model, a YAML description or a paper) and write its
    DAGs.
    """
    from .. import driver, emit
    from ..dump import Dumps

    reads = asked_of(flags)
    request = request_of(source, flags)
    dumps = Dumps(dump_ir, print_ir_after_all)
    planned, reading, experiment = _planned(request, reads)
    jobs = [driver.compile_job(job, request, dumps.watch) for job in planned]
    wanted = [job for job in jobs if job.role == "proposed"] or jobs
    lacking = _lacking(reading) if reading else []
    found = list(dict.fromkeys([*(d for job in jobs for d in job.diagnostics), *lacking]))
    dumps.write()
    if all(job.status == "refused" for job in wanted):
        raise Refused(*found)
    with _progress() as done:
        options = emit.Options(not flags["no_svg"], flags["full_svg"], flags["full"], flags["force"], done)
        manifest = emit.write(jobs, out, options, source or "moe-16x16", reading, experiment)
    _report(jobs, found, manifest, out, as_json)
    if lacking or any(job.status != "valid" for job in jobs):
        click.get_current_context().exit(1)


def _planned(request: Request, asked: Asked) -> tuple[list[Job], Reading | None, str]:
    """The deployments asked for; where the source is a paper, what was read in it, and that as YAML."""
    from .. import papers, planning

    if not papers.is_paper(request.source):
        return planning.plan(request), None, ""
    from ..frontends.paper.writing import yaml_of

    assert request.source is not None
    path = Path(request.source)
    reading = papers.read(path, asked)
    text = yaml_of(reading)
    made = replace(request, as_written=request.as_written or "unpaid:" in text)
    return planning.planned(papers.experiments_of(text, path.parent, asked.strict), made), reading, text


def _lacking(reading: Reading) -> list[Diagnostic]:
    """What a paper proposes and dagc does not know how to draw."""
    from .. import papers

    return papers.lacking(reading)


def _progress() -> AbstractContextManager[Callable[[str], None]]:
    """Shows the file being made, on a terminal only."""
    if not sys.stderr.isatty():
        return nullcontext(lambda name: None)
    from ..backends.terminal import progress

    return progress()


def _report(jobs: list[Job], found: list[Diagnostic], manifest: dict[str, Any], out: Path, as_json: bool) -> None:
    """Tables for a person at a terminal, JSON for a machine, and the manifest's path for a script."""
    if as_json:
        extra = {
            "diagnostics": [d.as_dict() for d in found],
            "assumptions": list(dict.fromkeys(a for j in jobs for a in j.assumed)),
        }
        figures = {f"{job.model.name}/{job.name}": job.figures for job in jobs}
        extra["alternatives"] = {
            f"{job.model.name}/{job.name}": [asdict(one) for one in job.considered] for job in jobs if job.considered
        }
        click.echo(json.dumps({**manifest, **extra, "measurements": figures}, indent=1, ensure_ascii=False))
        return
    for diagnostic in found:
        click.echo(f"{diagnostic}\n", err=True)
    if sys.stderr.isatty():
        _tables(jobs)
    click.echo(str(out / "manifest.json"))


def _tables(jobs: list[Job]) -> None:
    from ..backends import terminal

    console = terminal.console()
    for assumption in dict.fromkeys(a for job in jobs for a in job.assumed):
        console.print(f"assumed: {assumption}", markup=False, highlight=False)
    for model in dict.fromkeys(job.model.name for job in jobs):
        mine = [job for job in jobs if job.model.name == model]
        console.print(terminal.figures_table(model, [(j.name, j.status, j.figures) for j in mine]))
        console.print(terminal.collectives_table([(j.name, j.figures) for j in mine]))
        console.print(terminal.links_table([(j.name, j.figures) for j in mine]))
        console.print(terminal.modules_table([(j.name, j.figures) for j in mine]))
        if considered := [(j.name, asdict(one)) for j in mine for one in j.considered]:
            console.print(terminal.alternatives_table(considered))
