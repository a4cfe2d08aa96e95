"""`dagc opt`: the free driver, an xDSL optimiser that knows dagc's passes and resolves strategies by name.

    dagc opt model.mlir -p 'shard{strategy=ep gpus=16},communicate,tidy'
    dagc opt model.mlir -p 'plan{strategy="ep=8,tp=2"},place,slots,split,shard,communicate'

`plan` writes a strategy into the module, of its regimes and alternatives the one that `dagc lower` would keep, and says
on stderr which; the others, but for `tidy`, read it there. `shard` takes the same options and then runs all before it
first, if the module is not placed yet.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import ArgSpecParseError, ParseError, PassFailedException, VerifyException
from xdsl.xdsl_opt_main import xDSLOptMain

from .deciding import decided
from .diagnostics import Diagnostic, Refused, nearest
from .frontends.strategy import alternatives, resolve
from .ir.module import annotate, sizes_of
from .ir.plan import Plan
from .passes.place import PlacePass
from .passes.shard import ShardPass
from .passes.slots import SlotsPass
from .passes.split import SplitPass
from .passes.verify.wellformed import check


@dataclass(frozen=True)
class PlanPass(ModulePass):
    """Writes a strategy, and sizes if given, into the module."""

    name = "plan"
    strategy: str
    mesh: str | None = None
    gpus: int | None = None
    stages: str | None = None
    batch_size: int | None = None
    seq_len: int | None = None
    kv_len: int | None = None
    alternative: str | None = None

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        given = {"B": self.batch_size, "S": self.seq_len, "K": self.kv_len}
        sizes = sizes_of(op).bind(**{name: value for name, value in given.items() if value is not None})
        annotate(op, sizes=sizes)
        plan, said = decided(self._ways(), op)
        for one in said:
            print(one, file=sys.stderr)
        annotate(op, plan=plan)

    def _ways(self) -> dict[str, Plan]:
        """The plan of every alternative, or of the one that is named."""
        known = alternatives(self.strategy, self.mesh)
        if self.alternative and self.alternative not in known:
            problem, hint = f"{self.strategy} lists no alternative {self.alternative}", nearest(self.alternative, known)
            raise Refused(Diagnostic("unknown-strategy", problem, "alternative", ", ".join(known), hint=hint))
        names = [self.alternative] if self.alternative else known
        return {name: self._resolved(name) for name in names}

    def _resolved(self, alternative: str) -> Plan:
        return resolve(self.strategy, gpus=self.gpus, mesh=self.mesh, stages=self.stages, alternative=alternative)


@dataclass(frozen=True)
class StrategyShardPass(ModulePass):
    """`shard`, with a strategy to plan and place by where the module has none."""

    name = "shard"
    strategy: str | None = None
    mesh: str | None = None
    gpus: int | None = None
    stages: str | None = None
    batch_size: int | None = None
    seq_len: int | None = None
    kv_len: int | None = None
    alternative: str | None = None

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if self.strategy is not None:
            options: dict[str, Any] = vars(self)
            PlanPass(**options).apply(ctx, op)
        if "dag.mesh" not in op.attributes:
            PlacePass().apply(ctx, op)
            SlotsPass().apply(ctx, op)
            SplitPass().apply(ctx, op)
        ShardPass().apply(ctx, op)


class _Main(xDSLOptMain):
    def register_all_passes(self) -> None:
        super().register_all_passes()
        self.available_passes["plan"] = lambda: PlanPass
        self.available_passes["shard"] = lambda: StrategyShardPass

    def apply_passes(self, prog: ModuleOp) -> None:
        super().apply_passes(prog)
        if problems := check(prog):
            raise Refused(*problems)


def run(args: list[str]) -> None:
    """Run the optimiser on command-line arguments. Refused instead of a traceback for anything wrong in them."""
    try:
        _Main("dagc opt", args).run()
    except ParseError as error:
        source = error.span.input
        line = len(source.content[: error.span.start].splitlines()) or 1
        raise Refused(Diagnostic("syntax", error.msg, f"{source.name}:{line}")) from error
    except ArgSpecParseError as error:
        raise Refused(_bad_options(str(error)), usage=True) from error
    except (VerifyException, PassFailedException) as error:
        raise Refused(Diagnostic("ill-formed", str(error).split("\n", 1)[0])) from error
    except OSError as error:
        raise Refused(Diagnostic("file", f"cannot be read: {error.strerror}", str(error.filename))) from error
    except (ValueError, KeyError) as error:
        raise Refused(_bad_options(str(error)), usage=True) from error


def _bad_options(problem: str) -> Diagnostic:
    return Diagnostic(
        "syntax", f"the pass pipeline is wrong: {problem}", "-p", hint="try -p 'plan{strategy=ep},place,shard'"
    )
