"""One cell of the table: a strategy, a model and a phase; compiled, verified, drawn, linted and measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

from dagc import driver
from dagc.backends.dot import dot_text
from dagc.diagnostics import Refused
from dagc.frontends.dot.graphviz import Graphviz
from dagc.frontends.dot.reader import read_dot
from dagc.job import Job, Request
from dagc.passes import views
from dagc.passes.lint import lint
from dagc.planning import plan

from .shapes import MODELS, Shape
from .strategies import STRATEGIES, Entry
from .volumes import Case

BATCH, TOKENS, CONTEXT = 16, 1024, 4096
PHASES = ("prefill", "decode")


@dataclass(frozen=True)
class Cell:
    strategy: str
    model: str
    phase: str

    @property
    def name(self) -> str:
        return f"{self.strategy}, {self.model}, {self.phase}"

    @property
    def entry(self) -> Entry:
        return STRATEGIES[self.strategy]

    @property
    def shape(self) -> Shape:
        return MODELS[self.model]

    @property
    def reason(self) -> str | None:
        """Why it is impossible; None where it is not."""
        return self.entry.reason(self.model, self.phase)

    @cached_property
    def request(self) -> Request:
        text = self.entry.strategy(self.shape.gpus)
        request = Request(self.shape.source, (text,), baseline="none", batch_size=BATCH, phases=(self.phase,))
        return replace(request, **({"kv_len": CONTEXT} if self.decodes else {"seq_len": TOKENS}))

    @property
    def decodes(self) -> bool:
        return self.phase == "decode"


def cells() -> Iterator[Cell]:
    """Every cell of the table, none left out."""
    return (Cell(s, m, phase) for s in STRATEGIES for m in MODELS for phase in PHASES)


@dataclass
class Outcome:
    """What came of a cell: `refusal` where dagc refused it; `unlike`: where volumes are not those of the formula."""

    cell: Cell
    refusal: str = ""
    proven: bool = False
    meant: bool = False
    lint: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    sends: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        """Is it what the table promises of this cell?"""
        if self.cell.reason is not None:
            return self.cell.reason in self.refusal
        return not self.refusal and self.proven and self.meant and not self.lint and not self.unlike


def run(cell: Cell) -> Outcome:
    """Compile a cell and look at it from all sides."""
    try:
        (job,) = (driver.compile_job(job, cell.request) for job in plan(cell.request))
    except Refused as refused:
        return Outcome(cell, refusal=refused.diagnostics[0].problem)
    if job.graph is None or job.verdict is None:
        return Outcome(cell, refusal=job.diagnostics[0].problem)
    made = Outcome(cell, proven=job.verdict.holds, lint=_lint(job))
    made.meant = any(layer.name == "meaning" and layer.holds for layer in job.verdict.layers)
    made.sends = _sends(job)
    made.unlike = [kind for kind, sent in made.sends.items() if sent != _wanted(cell, job, kind)]
    return made


def _lint(job: Job) -> list[str]:
    assert job.graph is not None
    with TemporaryDirectory() as folder, Graphviz() as graphviz:
        file = Path(folder) / "cell.dot"
        file.write_text(dot_text(views.gpus(job.graph)))
        return [str(found) for drawing in read_dot(file, graphviz) for found in lint(drawing)]


def _sends(job: Job) -> dict[str, list[tuple[str, int]]]:
    """Per kind of layer the collectives that carry data, as `measure` counts them; of layers alike, one."""
    found: dict[str, list[tuple[str, int]]] = {layers: [] for layers in _bodies(job)}
    for entry in job.figures["collectives"]:
        if entry["layers"] is not None and not entry["routing"]:
            found[entry["layers"]].append((entry["collective"], entry["elements_sent_per_gpu"]))
    by_kind: dict[str, list[tuple[str, int]]] = {}
    for layers, sent in found.items():
        kind = job.model.layers[int(layers.split("-")[0].split()[0])]
        assert by_kind.setdefault(kind, sorted(sent)) == sorted(sent), f"layers {layers} send otherwise"
    return by_kind


def _bodies(job: Job) -> list[str]:
    assert job.figures
    found: dict[str, None] = defaultdict()
    for part in job.figures["classes"]:
        found |= dict.fromkeys(part["flops_per_layer"])
    return list(found)


def _wanted(cell: Cell, job: Job, kind: str) -> list[tuple[str, int]]:
    assert job.plan is not None
    axes = {axis.name: axis.size for axis in job.plan.axes}
    tokens, context = (1, CONTEXT) if cell.decodes else (TOKENS, TOKENS)
    case = Case(cell.shape, kind, BATCH, tokens, context, axes)
    return sorted((name, ceil(Fraction(size))) for name, size in cell.entry.sends(case))
