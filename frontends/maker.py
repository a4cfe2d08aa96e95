"""Makes operators of one program in order, with paths, locations, weights and caches: what build's parts share."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.dialects.builtin import FloatAttr, f64
from xdsl.ir import Operation, SSAValue

from ..ir.dims import Size, number, symbol
from ..ir.layout import Dim, Tensor
from ..ir.op import Operator, tensor_of
from ..ir.ops.attention import AppendOp, CacheOp, KeepOp, ReadOp
from ..ir.ops.linear import AddBiasOp, ProjectOp
from ..ir.ops.normalize import LayerNormOp, RmsNormOp
from ..ir.ops.program import StateOp, WeightOp
from .model import Model, Phase

BATCH, SEQ, KV = symbol("B"), symbol("S"), symbol("K")


@dataclass
class Maker:
    """Operators made so far, under a path prefix."""

    model: Model
    phase: Phase
    leaves: bool = False
    """Are caches left to the program that comes next?"""
    chunks: int = 1
    """In so many runs a prompt goes through, each of which finds in caches what those before it left."""
    ops: list[Operation] = field(default_factory=list)
    prefix: str = ""

    @property
    def decodes(self) -> bool:
        return self.phase is Phase.DECODE

    @property
    def appends(self) -> bool:
        """Are its tokens the last of those in caches?"""
        return self.decodes or self.chunks > 1

    def add(self, kind: type[Operator], name: str, *inputs: SSAValue, **props: object) -> SSAValue:
        """One operator; `out` gives its type where operands do not decide it."""
        out = props.pop("out", None)
        assert out is None or isinstance(out, Tensor)
        made = kind.of(*inputs, path=f"{self.prefix}{name}", where=self.where(name), out=out, **props)
        self.ops.append(made)
        return made.out

    def where(self, name: str) -> str:
        """The most specific origin the description gave for this part of the model."""
        part = name.split(".")[0]
        return self.model.origin.get(part, self.model.where)

    def weight(self, path: str, dims: dict[str, int], **props: object) -> SSAValue:
        """A parameter."""
        sizes = {name: number(size) for name, size in dims.items()}
        return self.add(WeightOp, path, out=Tensor(dims_of(**sizes), self.model.dtype), **props)

    def project(self, path: str, x: SSAValue, over: str | tuple[str, ...], bias: bool = False, **dims: int) -> SSAValue:
        """A projection by a weight of its own with these dims, contracting some of them; and a bias of the others."""
        over = (over,) if isinstance(over, str) else over
        out = self.add(ProjectOp, path, x, self.weight(f"{path}.weight", dims), over=over)
        if not bias:
            return out
        own = {name: size for name, size in dims.items() if name not in over}
        return self.add(AddBiasOp, f"{path}_bias", out, self.weight(f"{path}_bias.weight", own))

    def norm(self, path: str, x: SSAValue) -> SSAValue:
        """The model's norm over hidden."""
        if self.model.norm == "rms_norm":
            return self.rms_norm(path, x, "hidden", self.model.hidden)
        gain, bias = (self.weight(f"{path}.{name}", {"hidden": self.model.hidden}) for name in ("weight", "bias"))
        return self.add(LayerNormOp, path, x, gain, bias, over="hidden", eps=self._eps())

    def rms_norm(self, path: str, x: SSAValue, name: str, size: int) -> SSAValue:
        """An RMS norm over one name."""
        return self.add(RmsNormOp, path, x, self.weight(f"{path}.weight", {name: size}), over=name, eps=self._eps())

    def _eps(self) -> FloatAttr:
        return FloatAttr(self.model.norm_eps, f64)

    def cached(self, path: str, x: SSAValue) -> SSAValue:
        """What attention reads of a cache: what is put into it, or with what was there all that it holds by then."""
        if not self.appends:
            made = self.add(CacheOp, path, x)
            if self.leaves:
                self.add(KeepOp, f"{path}.{path.rpartition('.')[2].removesuffix('_cache')}_kept", made)
            return made
        rows = tuple(Dim("kv_len", KV) if dim.name == "seq_len" else dim for dim in tensor_of(x).dims)
        before = self.add(StateOp, f"{path}.state", out=Tensor(rows, self.model.dtype))
        return self.add(ReadOp, f"{path}_read", self.add(AppendOp, path, x, before))


def dims_of(**sizes: Size) -> tuple[Dim, ...]:
    """Uncut dimensions."""
    return tuple(Dim(name, size) for name, size in sizes.items())
