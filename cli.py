"""The command line: flags → driver → exit code. The only file that knows click.

Exit codes: 0 fine · 1 the description, strategy or graph is wrong · 2 usage · 3 a bug in dagc.
Each command imports what it needs when it runs, so that `dagc --help` stays fast.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__
from .diagnostics import Diagnostic, Refused

if TYPE_CHECKING:
    from .job import Job, Request

LOWER_EXAMPLES = """
\b
Examples:
  dagc lower --strategy ep                                   the built-in 16-layer MoE on 16 GPUs
  dagc lower mixtral-8x22b --strategy ep --gpus 8 --baseline tp=8
  dagc lower path/to/config.json --strategy dp=2,tp=4,pp=2 --batch-size 32 --seq-len 4096
  dagc lower experiment.yaml --out graphs
"""


DTYPES = {
    "bfloat16": "bf16", "float16": "f16", "float32": "f32", "fp8": "f8", "half": "f16",
    "bf16": "bf16", "f16": "f16", "f32": "f32", "f8": "f8",
}  # fmt: skip
"""vLLM's names of element types, and dagc's own."""


class _Size(click.ParamType):
    """A positive number, or `symbolic`."""

    name = "N|symbolic"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if isinstance(value, int) or value == "symbolic":
            return value
        if str(value).isdigit() and 0 < int(value) < 10**12:
            return int(value)
        self.fail(f"{value!r} is neither a positive number nor 'symbolic'", param, ctx)


SIZE = _Size()
POSITIVE = click.IntRange(min=1, max=1 << 24)


class _Group(click.Group):
    """Turns refusals into diagnostics and exit codes; anything else that escapes is a bug in dagc."""

    def invoke(self, ctx: click.Context) -> Any:
        as_json = "--json" in sys.argv
        try:
            return super().invoke(ctx)
        except Refused as refused:
            _say(refused.diagnostics, as_json)
            ctx.exit(2 if refused.usage else 1)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            click.echo(f"dagc: a bug in dagc, please report it: {type(error).__name__}: {error}", err=True)
            if "--traceback" in sys.argv:
                raise
            ctx.exit(3)


def _say(diagnostics: Iterable[Diagnostic], as_json: bool) -> None:
    found = list(diagnostics)
    if as_json:
        click.echo(json.dumps({"diagnostics": [d.as_dict() for d in found]}, indent=1, ensure_ascii=False))
    for diagnostic in found:
        click.echo(f"{diagnostic}\n", err=True)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dagc")
def main() -> None:
    """Compiles a model, a cluster and a parallel strategy into the proved, drawn deployment DAG."""


@main.command(epilog=LOWER_EXAMPLES)
@click.argument("source", required=False)
@click.option("--strategy", "-s", "strategies", multiple=True, help="Name, file or mesh (tp=8,pp=2). May be repeated.")
@click.option("--baseline", help="Name, file, mesh, or none. Default: tp inside a node, pp across.")
@click.option("--mesh", help="Sizes of the strategy's axes, or more axes: ep=8,tp=2.")
@click.option("--tensor-parallel-size", "--tensor-model-parallel-size", "tp", type=POSITIVE, help="Short for tp=N.")
@click.option("--pipeline-parallel-size", "--pipeline-model-parallel-size", "pp", type=POSITIVE, help="Short for pp=N.")
@click.option("--data-parallel-size", "dp", type=POSITIVE, help="Short for dp=N.")
@click.option("--gpus", type=POSITIVE, help="Number of GPUs; sizes the one axis left open.")
@click.option("--stages", help="Layers per pipeline stage: even, uneven, or a list such as 24,24,23,23.")
@click.option("--batch-size", type=SIZE, help="Sequences in the batch, or symbolic.")
@click.option("--seq-len", "--max-model-len", type=SIZE, help="Tokens per sequence, or symbolic.")
@click.option("--dtype", type=click.Choice(list(DTYPES)), help="Element type of weights and values.")
@click.option("--fused-attention/--no-fused-attention", default=True, help="Scores are drawn, but not stored. Default.")
@click.option("--per-expert", is_flag=True, help="Draw every expert of a GPU apart, not one grouped operator.")
@click.option("--max-imbalance", type=click.FloatRange(min=1), help="Refuse a load of largest/mean above this.")
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
    """Lower SOURCE (a config.json, a folder with one, a built-in model or a YAML description) and write its DAGs."""
    from . import driver, emit
    from .dump import Dumps
    from .planning import plan

    request = _request(source, flags)
    dumps = Dumps(dump_ir, print_ir_after_all)
    jobs = [driver.compile_job(job, request, dumps.watch) for job in plan(request)]
    proposed = [job for job in jobs if job.role == "proposed"]
    found = list(dict.fromkeys(d for job in jobs for d in job.diagnostics))
    dumps.write()
    if all(job.status == "refused" for job in proposed):
        raise Refused(*found)
    with _progress() as done:
        options = emit.Options(not flags["no_svg"], flags["full_svg"], flags["full"], flags["force"], done)
        manifest = emit.write(jobs, out, options)
    _report(jobs, found, manifest, out, as_json)
    if any(job.status == "refused" for job in jobs):
        click.get_current_context().exit(1)


def _progress() -> AbstractContextManager[Callable[[str], None]]:
    """Shows the file being made, on a terminal only."""
    if not sys.stderr.isatty():
        return nullcontext(lambda name: None)
    from .backends.terminal import progress

    return progress()


def _request(source: str | None, flags: dict[str, Any]) -> Request:
    """Flags as the driver takes them: sizes of single axes join the mesh; a mesh alone is a strategy."""
    from .job import Request

    axes = [f"{axis}={flags[axis]}" for axis in ("tp", "pp", "dp") if flags[axis]]
    mesh = ",".join(filter(None, (flags["mesh"], *axes))) or None
    strategies, dtype = flags["strategies"], flags["dtype"]
    if mesh and not strategies:
        strategies, mesh = (mesh,), None
    known = {name: flags[name] for name in Request.__dataclass_fields__ if name in flags}
    return Request(**{**known, "source": source, "strategies": strategies, "mesh": mesh, "dtype": DTYPES.get(dtype)})


def _report(jobs: list[Job], found: list[Diagnostic], manifest: dict[str, Any], out: Path, as_json: bool) -> None:
    """Tables for a person at a terminal, JSON for a machine, and the manifest's path for a script."""
    if as_json:
        extra = {
            "diagnostics": [d.as_dict() for d in found],
            "assumptions": list(dict.fromkeys(a for j in jobs for a in j.assumed)),
        }
        figures = {f"{job.model.name}/{job.strategy}": job.figures for job in jobs}
        click.echo(json.dumps({**manifest, **extra, "measurements": figures}, indent=1, ensure_ascii=False))
        return
    for diagnostic in found:
        click.echo(f"{diagnostic}\n", err=True)
    if sys.stderr.isatty():
        _tables(jobs)
    click.echo(str(out / "manifest.json"))


def _tables(jobs: list[Job]) -> None:
    from .backends import terminal

    console = terminal.console()
    for assumption in dict.fromkeys(a for job in jobs for a in job.assumed):
        console.print(f"assumed: {assumption}", markup=False, highlight=False)
    for model in dict.fromkeys(job.model.name for job in jobs):
        mine = [job for job in jobs if job.model.name == model]
        console.print(terminal.figures_table(model, [(j.strategy, j.status, j.figures) for j in mine]))
        console.print(terminal.collectives_table([(j.strategy, j.figures) for j in mine]))
        console.print(terminal.modules_table([(j.strategy, j.figures) for j in mine]))


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON on stdout.")
def verify(file: Path, as_json: bool) -> None:
    """Check a module (FILE.mlir): well-formed, dimensions proven, layouts and debts, coverage."""
    from .driver import load_text
    from .ir.dialect import parse_module
    from .passes.verify import verify_module

    verdict = verify_module(parse_module(load_text(file), str(file)))
    errors = [d for d in verdict.diagnostics if d.severity == "error"]
    if errors:
        raise Refused(*verdict.diagnostics)
    if as_json:
        needed = [asdict(precondition) for precondition in verdict.preconditions]
        data = {"file": str(file), "proofs": verdict.proofs, "preconditions": needed, "diagnostics": []}
        click.echo(json.dumps(data, indent=1, ensure_ascii=False))
    else:
        click.echo(f"{file}: ok, {len(verdict.proofs)} facts proven under {len(verdict.preconditions)} preconditions")


@main.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    short_help="Run passes by hand: dagc opt FILE -p 'shard{strategy=ep},communicate'.",
)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def opt(args: tuple[str, ...]) -> None:
    """The free driver: an xDSL optimiser with dagc's dialect and passes."""
    from .opt import run

    run(list(args))


@main.command()
@click.option("--json", "as_json", is_flag=True)
def models(as_json: bool) -> None:
    """List the built-in models and the architectures that config.json files may name."""
    from .frontends.architectures import table
    from .frontends.catalogue import builtin_models

    found, kinds = builtin_models(), sorted(table().architectures)
    if as_json:
        entries = [
            {"name": m.name, "layers": len(m.layers), "hidden": m.hidden, "moe": m.moe is not None} for m in found
        ]
        click.echo(json.dumps({"models": entries, "architectures": kinds}, indent=1, ensure_ascii=False))
        return
    width = max(len(model.name) for model in found)
    for model in found:
        experts = f", {model.moe.experts} experts top-{model.moe.top_k}" if model.moe else ""
        click.echo(f"{model.name:<{width}}  {len(model.layers)} layers, hidden {model.hidden}{experts}")
    click.echo(f"architectures: {', '.join(kinds)}", err=True)


@main.command()
@click.option("--json", "as_json", is_flag=True)
def strategies(as_json: bool) -> None:
    """List the strategies, a line each."""
    from .frontends.strategy import strategies as known

    found = known()
    if as_json:
        click.echo(json.dumps([{"name": name, "about": about} for name, about in found], indent=1))
        return
    width = max(len(name) for name, _ in found)
    for name, about in found:
        click.echo(f"{name:<{width}}  {about}")


@main.command()
@click.argument("code")
def explain(code: str) -> None:
    """Say what a diagnostic or rule CODE means and what mends it."""
    from .codes import CODES, RULES
    from .diagnostics import nearest

    found = next((name for name in (*CODES, *RULES) if name.lower() == code.lower()), None)
    if found is None:
        problem = f"no diagnostic or rule has the code {code}"
        raise Refused(Diagnostic("unknown-key", problem, hint=nearest(code, {*CODES, *RULES})), usage=True)
    lines = [RULES[found]] if found in RULES else []
    lines += [CODES[found].meaning, CODES[found].mend] if found in CODES else []
    click.echo("\n  ".join([found, *lines]))
