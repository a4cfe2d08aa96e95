"""Feed-forward layers: one MLP, or a router over experts.

gate → scores → choice → dispatch → experts → combine (+ shared expert)
"""

from __future__ import annotations

from xdsl.dialects.builtin import FloatAttr, f64
from xdsl.ir import SSAValue

from ..ir.ops.linear import AddBiasOp, GroupedProjectOp, ProjectOp
from ..ir.ops.moe import CombineOp, CountOp, DispatchOp, TopKOp
from ..ir.ops.normalize import SoftmaxOp
from ..ir.ops.pointwise import ActivateOp, AddOp, MultiplyOp
from ..ir.ops.routing import GroupLimitOp, GroupRatingOp
from .maker import Maker
from .model import FeedForward, MixtureOfExperts


def feed_forward(make: Maker, x: SSAValue, kind: str) -> SSAValue:
    """From a layer's normed hidden states to what its feed-forward part adds to them."""
    model = make.model
    if kind == "moe":
        assert model.moe is not None
        return _moe(make, x, model.moe)
    assert model.dense is not None
    return _ffn(make, "ffn", x, model.dense)


def _ffn(make: Maker, path: str, x: SSAValue, spec: FeedForward) -> SSAValue:
    up = {"hidden": make.model.hidden, "ffn": spec.width}
    down = {"ffn": spec.width, "hidden": make.model.hidden}
    first = make.project(f"{path}.{'gate_proj' if spec.gated else 'up_proj'}", x, "hidden", spec.bias, **up)
    inner = make.add(ActivateOp, f"{path}.activation", first, function=spec.activation)
    if spec.gated:
        second = make.project(f"{path}.up_proj", x, "hidden", spec.bias, **up)
        inner = make.add(MultiplyOp, f"{path}.multiply", inner, second)
    return make.project(f"{path}.down_proj", inner, "ffn", spec.bias, **down)


def _moe(make: Maker, x: SSAValue, spec: MixtureOfExperts) -> SSAValue:
    routing = _routing(make, x, spec)
    rows = make.add(DispatchOp, "moe.dispatch", x, routing, experts=spec.experts)
    counts = make.add(CountOp, "moe.dispatch.count", routing, experts=spec.experts)
    out = make.add(CombineOp, "moe.combine", _experts(make, rows, counts, spec), routing)
    return make.add(AddOp, "moe.add_shared", out, _shared(make, x, spec)) if spec.shared else out


def _routing(make: Maker, x: SSAValue, spec: MixtureOfExperts) -> SSAValue:
    """Which experts each token goes to, with which weights. What the choice is by may differ from what is weighed."""
    logits = make.project("moe.gate", x, "hidden", hidden=make.model.hidden, experts=spec.experts)
    if spec.scoring == "softmax":
        scores = choice = make.add(SoftmaxOp, "moe.gate_softmax", logits, over="experts")
    else:
        scores = choice = make.add(ActivateOp, "moe.gate_sigmoid", logits, function="sigmoid")
    if spec.correction:
        bias = make.weight("moe.gate_correction.weight", {"experts": spec.experts}, buffer=True)
        choice = make.add(AddBiasOp, "moe.gate_correction", choice, bias)
    if spec.groups > 1:
        best = make.add(GroupRatingOp, "moe.group_rating", choice, groups=spec.groups, best=spec.group_best)
        choice = make.add(GroupLimitOp, "moe.group_limit", choice, best, k=spec.top_groups)
    weighed = () if choice is scores else (scores,)
    factor = FloatAttr(spec.scale, f64) if spec.scale != 1 else None
    return make.add(TopKOp, "moe.top_k", choice, *weighed, k=spec.top_k, normalize=spec.normalize, factor=factor)


def _experts(make: Maker, rows: SSAValue, counts: SSAValue, spec: MixtureOfExperts) -> SSAValue:
    expert, hidden = spec.expert, make.model.hidden
    up = {"experts": spec.experts, "hidden": hidden, "ffn": expert.width}
    down = {"experts": spec.experts, "ffn": expert.width, "hidden": hidden}

    def project(name: str, x: SSAValue, over: str, *extra: SSAValue, **dims: int) -> SSAValue:
        weight = make.weight(f"moe.experts.{name}.weight", dims)
        kind = GroupedProjectOp if extra else ProjectOp
        return make.add(kind, f"moe.experts.{name}", x, weight, *extra, over=(over,))

    first = project("gate_proj" if expert.gated else "up_proj", rows, "hidden", counts, **up)
    inner = make.add(ActivateOp, "moe.experts.activation", first, function=expert.activation)
    if expert.gated:
        second = project("up_proj", rows, "hidden", counts, **up)
        inner = make.add(MultiplyOp, "moe.experts.multiply", inner, second)
    return project("down_proj", inner, "ffn", **down)


def _shared(make: Maker, x: SSAValue, spec: MixtureOfExperts) -> SSAValue:
    assert spec.shared is not None
    out = _ffn(make, "moe.shared_expert", x, spec.shared)
    if not spec.shared_gate:
        return out
    gate = make.project("moe.shared_expert.output_gate", x, "hidden", hidden=make.model.hidden)
    gate = make.add(ActivateOp, "moe.shared_expert.output_gate_sigmoid", gate, function="sigmoid")
    return make.add(MultiplyOp, "moe.shared_expert.gated", out, gate)
