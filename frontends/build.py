"""The only way a frontend makes IR: a described transformer becomes a LOGICAL module.

    %x = dag.input …            global dimensions, no devices
    %h = dag.lookup(%x, %w)
    %y = dag.repeat %h layers 0 to 31 period 1 { attention, feed-forward }
    dag.output(%logits)

A decode step is a program of its own: its seq_len new tokens are appended to a resident cache of kv_len tokens, of
which they are the last, and attention reads all of it.

Layers stay rolled: runs of equal layers (or of an equal pattern of layers) become one `dag.repeat` each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from xdsl.dialects.builtin import FloatAttr, ModuleOp, f64
from xdsl.ir import Block, Operation, SSAValue

from ..ir.dims import Definition, Size, Sizes, number, symbol
from ..ir.layout import Dim, Tensor
from ..ir.op import Operator, tensor_of
from ..ir.ops.attention import AppendOp, CacheOp, ContextOp, MaskOp, ReadOp, RopeOp, ScoresOp
from ..ir.ops.linear import AddBiasOp, GroupedProjectOp, ProjectOp
from ..ir.ops.lookup import LookupOp
from ..ir.ops.moe import EXPERT_TOKENS, CombineOp, CountOp, DispatchOp, TopKOp
from ..ir.ops.normalize import LayerNormOp, RmsNormOp, SoftmaxOp
from ..ir.ops.pointwise import ActivateOp, AddOp, MultiplyOp, ScaleOp
from ..ir.ops.program import InputOp, OutputOp, RepeatOp, StateOp, WeightOp, YieldOp
from ..ir.types import SizesAttr
from .model import FeedForward, MixtureOfExperts, Model, Phase

BATCH, SEQ, KV = symbol("B"), symbol("S"), symbol("K")
MAX_PERIOD = 8


def build(model: Model, phase: Phase = Phase.PREFILL) -> ModuleOp:
    """The logical module of a model, with batch_size = B, seq_len = S and, in decode, kv_len = K left symbolic."""
    return _Builder(model, phase).module()


def runs(layers: tuple[str, ...]) -> Iterator[tuple[int, int, int]]:
    """Cut a sequence of layer kinds into (first, last, period): each run repeats its first `period` kinds.

    >>> list(runs(("dense", "moe", "moe", "moe")))
    [(0, 0, 1), (1, 3, 1)]
    >>> list(runs(("dense", "moe", "dense", "moe")))
    [(0, 3, 2)]
    """
    first = 0
    while first < len(layers):
        period, rounds = _longest(layers[first:])
        yield first, first + period * rounds - 1, period
        first += period * rounds


def _longest(layers: tuple[str, ...]) -> tuple[int, int]:
    """(period, rounds) covering most layers from the start; a period above one must come round at least twice."""
    best = (1, 1)
    for period in range(1, min(MAX_PERIOD, len(layers)) + 1):
        rounds = 1
        while layers[period * rounds : period * (rounds + 1)] == layers[:period]:
            rounds += 1
        if (rounds > 1 or period == 1) and period * rounds > best[0] * best[1]:
            best = (period, rounds)
    return best


@dataclass
class _Scope:
    """Operators made so far, under a path prefix."""

    ops: list[Operation]
    prefix: str = ""

    def at(self, name: str) -> str:
        return f"{self.prefix}{name}"


class _Builder:
    def __init__(self, model: Model, phase: Phase) -> None:
        self.model, self.decodes = model, phase is Phase.DECODE
        self.scope = _Scope([])

    def module(self) -> ModuleOp:
        model = self.model
        hidden = self._dims(batch_size=BATCH, seq_len=SEQ, hidden=number(model.hidden))
        if model.vocab is None:
            x = self._add(InputOp, "input", out=Tensor(hidden, model.dtype))
        else:
            ids = self._add(InputOp, "input", out=Tensor(hidden[:2], "i32"))
            table = self._weight("embed.weight", {"vocab": model.vocab, "hidden": model.hidden})
            x = self._add(LookupOp, "embed", ids, table)
        for first, last, period in runs(model.layers):
            x = self._repeat(x, first, last, period)
        if model.vocab is not None:
            x = self._head(x)
        self._add(OutputOp, "output", x)
        return ModuleOp(self.scope.ops, {"dag.sizes": SizesAttr(self._sizes())})

    def _sizes(self) -> Sizes:
        moe = self.model.moe
        free = tuple((str(size), None) for size in (BATCH, SEQ, *[KV] * self.decodes))
        if moe is None:
            return Sizes(free)
        rows = BATCH * SEQ * moe.top_k / moe.experts
        return Sizes(free, (Definition(str(EXPERT_TOKENS), rows, rows),))

    def _repeat(self, x: SSAValue, first: int, last: int, period: int) -> SSAValue:
        outer, block = self.scope, Block(arg_types=[x.type])
        block.args[0].name_hint = "x"
        self.scope, y = _Scope([]), block.args[0]
        for layer in range(first, first + period):
            self.scope.prefix = "layers." if period == 1 else f"layers.{layer - first}."
            y = self._layer(y, self.model.layers[layer])
        block.add_ops([*self.scope.ops, YieldOp.create(operands=[y])])
        self.scope = outer
        repeat = RepeatOp.of(x, block, first, last, period, self._where("layers"))
        self.scope.ops.append(repeat)
        return repeat.out

    def _layer(self, x: SSAValue, kind: str) -> SSAValue:
        attended = self._attention(self._norm("attention_norm", x))
        x = self._add(AddOp, "attention_residual", x, attended)
        normed = self._norm("ffn_norm", x)
        model = self.model
        if kind == "moe":
            assert model.moe is not None
            out = self._moe(normed, model.moe)
        else:
            assert model.dense is not None
            out = self._ffn("ffn", normed, model.dense)
        return self._add(AddOp, "ffn_residual", x, out)

    def _attention(self, x: SSAValue) -> SSAValue:
        spec, hidden = self.model.attention, self.model.hidden
        q = self._project("attention.q_proj", x, "hidden", spec.qkv_bias, hidden=hidden, heads=spec.heads, d_k=spec.d_k)
        grouped = {"hidden": hidden, "kv_heads": spec.kv_heads, "d_k": spec.d_k}
        k = self._project("attention.k_proj", x, "hidden", spec.qkv_bias, **grouped)
        v = self._project("attention.v_proj", x, "hidden", spec.qkv_bias, **grouped)
        if spec.qk_norm:
            q, k = (self._head_norm(f"attention.{name}_norm", value) for name, value in (("q", q), ("k", k)))
        if spec.rope:
            q, k = (self._rope(f"attention.{name}_rope", value) for name, value in (("q", q), ("k", k)))
        context = self._core(q, k, v)
        out = {"heads": spec.heads, "d_k": spec.d_k, "hidden": hidden}
        return self._project("attention.o_proj", context, ("heads", "d_k"), spec.o_bias, **out)

    def _core(self, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
        spec = self.model.attention
        k, v = self._cached("k", k), self._cached("v", v)
        scores = self._add(ScoresOp, "attention.core.scores", q, k)
        scores = self._add(ScaleOp, "attention.core.scale", scores, factor=FloatAttr(1 / sqrt(spec.d_k), f64))
        if spec.causal or spec.window:
            scores = self._add(MaskOp, "attention.core.mask", scores, causal=spec.causal, window=spec.window)
        weights = self._add(SoftmaxOp, "attention.core.softmax", scores, over="kv_len")
        return self._add(ContextOp, "attention.core.context", weights, v)

    def _rope(self, path: str, x: SSAValue) -> SSAValue:
        theta = FloatAttr(self.model.attention.rope_theta, f64)
        return self._add(RopeOp, path, x, theta=theta, kv_len=str(KV) if self.decodes else None)

    def _cached(self, name: str, x: SSAValue) -> SSAValue:
        """What attention reads of a cache: in prefill what is put into it, in decode all that it holds by then."""
        path = f"attention.core.{name}_cache"
        if not self.decodes:
            return self._add(CacheOp, path, x)
        rows = tuple(Dim("kv_len", KV) if dim.name == "seq_len" else dim for dim in tensor_of(x).dims)
        before = self._add(StateOp, f"{path}.state", out=Tensor(rows, self.model.dtype))
        return self._add(ReadOp, f"{path}_read", self._add(AppendOp, path, x, before))

    def _ffn(self, path: str, x: SSAValue, spec: FeedForward) -> SSAValue:
        up = {"hidden": self.model.hidden, "ffn": spec.width}
        down = {"ffn": spec.width, "hidden": self.model.hidden}
        first = self._project(f"{path}.{'gate_proj' if spec.gated else 'up_proj'}", x, "hidden", spec.bias, **up)
        inner = self._add(ActivateOp, f"{path}.activation", first, function=spec.activation)
        if spec.gated:
            inner = self._add(
                MultiplyOp, f"{path}.multiply", inner, self._project(f"{path}.up_proj", x, "hidden", spec.bias, **up)
            )
        return self._project(f"{path}.down_proj", inner, "ffn", spec.bias, **down)

    def _moe(self, x: SSAValue, spec: MixtureOfExperts) -> SSAValue:
        logits = self._project("moe.gate", x, "hidden", hidden=self.model.hidden, experts=spec.experts)
        scores = self._add(SoftmaxOp, "moe.gate_softmax", logits, over="experts")
        routing = self._add(TopKOp, "moe.top_k", scores, k=spec.top_k, normalize=spec.normalize)
        rows = self._add(DispatchOp, "moe.dispatch", x, routing, experts=spec.experts)
        counts = self._add(CountOp, "moe.dispatch.count", routing, experts=spec.experts)
        out = self._add(CombineOp, "moe.combine", self._experts(rows, counts, spec), routing)
        return self._add(AddOp, "moe.add_shared", out, self._shared(x, spec)) if spec.shared else out

    def _experts(self, rows: SSAValue, counts: SSAValue, spec: MixtureOfExperts) -> SSAValue:
        expert, hidden = spec.expert, self.model.hidden
        up = {"experts": spec.experts, "hidden": hidden, "ffn": expert.width}
        down = {"experts": spec.experts, "ffn": expert.width, "hidden": hidden}

        def project(name: str, x: SSAValue, over: str, *extra: SSAValue, **dims: int) -> SSAValue:
            weight = self._weight(f"moe.experts.{name}.weight", dims)
            kind = GroupedProjectOp if extra else ProjectOp
            return self._add(kind, f"moe.experts.{name}", x, weight, *extra, over=(over,))

        first = project("gate_proj" if expert.gated else "up_proj", rows, "hidden", counts, **up)
        inner = self._add(ActivateOp, "moe.experts.activation", first, function=expert.activation)
        if expert.gated:
            second = project("up_proj", rows, "hidden", counts, **up)
            inner = self._add(MultiplyOp, "moe.experts.multiply", inner, second)
        return project("down_proj", inner, "ffn", **down)

    def _shared(self, x: SSAValue, spec: MixtureOfExperts) -> SSAValue:
        assert spec.shared is not None
        out = self._ffn("moe.shared_expert", x, spec.shared)
        if not spec.shared_gate:
            return out
        gate = self._project("moe.shared_expert.output_gate", x, "hidden", hidden=self.model.hidden)
        gate = self._add(ActivateOp, "moe.shared_expert.output_gate_sigmoid", gate, function="sigmoid")
        return self._add(MultiplyOp, "moe.shared_expert.gated", out, gate)

    def _head(self, x: SSAValue) -> SSAValue:
        model = self.model
        assert model.vocab is not None
        x = self._norm("final_norm", x)
        if not model.tied:
            return self._project("head", x, "hidden", hidden=model.hidden, vocab=model.vocab)
        table = self._weight("head.weight", {"vocab": model.vocab, "hidden": model.hidden}, tied="embed.weight")
        return self._add(ProjectOp, "head", x, table, over=("hidden",))

    def _norm(self, path: str, x: SSAValue) -> SSAValue:
        gain = self._weight(f"{path}.weight", {"hidden": self.model.hidden})
        props = {"over": "hidden", "eps": FloatAttr(self.model.norm_eps, f64)}
        if self.model.norm == "rms_norm":
            return self._add(RmsNormOp, path, x, gain, **props)
        bias = self._weight(f"{path}.bias", {"hidden": self.model.hidden})
        return self._add(LayerNormOp, path, x, gain, bias, **props)

    def _head_norm(self, path: str, x: SSAValue) -> SSAValue:
        gain = self._weight(f"{path}.weight", {"d_k": self.model.attention.d_k})
        return self._add(RmsNormOp, path, x, gain, over="d_k", eps=FloatAttr(self.model.norm_eps, f64))

    def _project(
        self, path: str, x: SSAValue, over: str | tuple[str, ...], bias: bool = False, **dims: int
    ) -> SSAValue:
        over = (over,) if isinstance(over, str) else over
        out = self._add(ProjectOp, path, x, self._weight(f"{path}.weight", dims), over=over)
        if not bias:
            return out
        own = {name: size for name, size in dims.items() if name not in over}
        return self._add(AddBiasOp, f"{path}_bias", out, self._weight(f"{path}_bias.weight", own))

    def _weight(self, path: str, dims: dict[str, int], tied: str | None = None) -> SSAValue:
        sizes = {name: number(size) for name, size in dims.items()}
        return self._add(WeightOp, path, out=Tensor(self._dims(**sizes), self.model.dtype), tied=tied)

    @staticmethod
    def _dims(**sizes: Size) -> tuple[Dim, ...]:
        return tuple(Dim(name, size) for name, size in sizes.items())

    def _add(self, kind: type[Operator], name: str, *inputs: SSAValue, **props: object) -> SSAValue:
        out = props.pop("out", None)
        assert out is None or isinstance(out, Tensor)
        made = kind.of(*inputs, path=self.scope.at(name), where=self._where(name), out=out, **props)
        self.scope.ops.append(made)
        return made.out

    def _where(self, name: str) -> str:
        """The most specific origin the description gave for this part of the model."""
        part = name.split(".")[0]
        return self.model.origin.get(part, self.model.where)
