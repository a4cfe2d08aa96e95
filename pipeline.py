"""The passes in the order they happen, and why each stands where it does.

    logical ─place→ placed ─slots→ placed ─split→ placed ─shard→ sharded ─communicate→ lowered ─tidy→ lowered
    lowered ─expand→ graph (─apart→ every expert by itself) (─paths→ every transfer by itself)

After every pass the module is checked to be well-formed, and whoever watches (dumps, timing) sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.printer import Printer

from .diagnostics import Refused
from .ir.chunks import chunk_sizes
from .ir.deployment import Deployment
from .ir.dialect import context
from .ir.dims import Sizes
from .job import PATHS, Drawn
from .passes.apart import apart
from .passes.communicate import CommunicatePass
from .passes.expand import expand
from .passes.paths import paths
from .passes.place import PlacePass
from .passes.shard import ShardPass
from .passes.slots import SlotsPass
from .passes.split import SplitPass
from .passes.tidy import TidyPass
from .passes.unroll import unroll
from .passes.verify import Verdict, unrolled
from .passes.verify.wellformed import check

PIPELINE: tuple[ModulePass, ...] = (
    PlacePass(),  # first: a rule may address layers, so repeats must be split before layouts are decided
    SlotsPass(),  # before whatever looks at experts; after place, which says over how many GPUs they are
    SplitPass(),  # before shard: a statistic of a cut dimension owes, as any contraction does
    ShardPass(),  # layouts of everything, moves where they differ
    CommunicatePass(),  # needs both ends of every move decided
    TidyPass(),  # last: only now are equal steps of different moves visible
)

Watcher = Callable[[str, ModuleOp], None]
"""Called with the name of each finished pass ("logical" before the first) and the module as it is then."""


def lower(module: ModuleOp, watch: Watcher | None = None) -> ModuleOp:
    """Lower a logical module that carries its plan, in place. Refused with all that is wrong at the first bad pass."""
    ctx = context()
    for name, step in (("logical", None), *((step.name, step) for step in PIPELINE)):
        if step is not None:
            step.apply(ctx, module)
        if problems := check(module):
            raise Refused(*problems)
        if watch:
            watch(name, module)
    return module


def emitted(module: ModuleOp, model: str, drawn: Drawn, sizes: Sizes | None = None) -> Deployment:
    """The deployment graph of a lowered module, at its sizes or these. Refused where an algorithm that was asked for
    does not suit.
    """
    graph = expand(module, model, drawn.facts, sizes)
    if drawn.per_expert:
        graph = apart(graph)
    return paths(graph, drawn.gpus_per_node, drawn.algorithms) if drawn.collectives == PATHS else graph


def pictured(graph: Deployment, module: ModuleOp, drawn: Drawn, verdict: Verdict) -> Deployment:
    """The graph to draw of one that was emitted for `module` and verified: itself, or its micro-batches and chunks
    apart, of which `verdict` is told.
    """
    if not drawn.unrolled or len(graph.runs) == 1:
        return graph
    apart = unroll([emitted(module, graph.model, drawn, sizes) for sizes in chunk_sizes(module)])
    shows = f"the program, {len(graph.runs)} times, each time on its part of the batch and of its tokens"
    verdict.run("micro-batches", shows, lambda: unrolled.check(apart, graph))
    return apart


def text_of(module: ModuleOp, locations: bool = True) -> str:
    """A module as text that parses back, with file:line locations."""
    stream = StringIO()
    Printer(stream, print_debuginfo=locations).print_op(module)
    return stream.getvalue() + "\n"
