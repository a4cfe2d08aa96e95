"""Attention: grouped heads, or heads that share one latent.

    grouped   q_proj, k_proj, v_proj → rotate → cache → core → o_proj
    latent    q_down, norm, q_up; kv_down, norm, and one rotated key shared by all heads → cache → core → o_proj

A query of latent attention is in two parts, one of them rotated, and scores are the sum of both parts'. In prefill keys
and values of every head are made from the latent (k_up, v_up). A decode step is *absorbed*: (q · k_up) · latent is
q · (k_up · latent), and (p · latent) · v_up is p · (latent · v_up), so that queries and context meet the cached latent
itself, and nothing per head is ever made of it. That is an algebraic identity (matrix products are associative); tests
hold a step against the last row of a prefill. Names and sizes are those of DeepSeek-V2 (arXiv 2405.04434, §2.1).
"""

from __future__ import annotations

from math import sqrt

from xdsl.dialects.builtin import FloatAttr, f64
from xdsl.ir import SSAValue

from ..ir.ops.attention import ContextOp, MaskOp, RopeOp, ScoresOp
from ..ir.ops.linear import ProjectOp
from ..ir.ops.normalize import SoftmaxOp
from ..ir.ops.pointwise import AddOp, ScaleOp
from .maker import KV, Maker
from .model import Latent


def attention(make: Maker, x: SSAValue) -> SSAValue:
    """From a layer's normed hidden states to what its attention adds to them."""
    latent = make.model.attention.latent
    return _latent(make, x, latent) if latent else _grouped(make, x)


def _grouped(make: Maker, x: SSAValue) -> SSAValue:
    spec, hidden = make.model.attention, make.model.hidden
    q = make.project("attention.q_proj", x, "hidden", spec.qkv_bias, hidden=hidden, heads=spec.heads, d_k=spec.d_k)
    grouped = {"hidden": hidden, "kv_heads": spec.kv_heads, "d_k": spec.d_k}
    k = make.project("attention.k_proj", x, "hidden", spec.qkv_bias, **grouped)
    v = make.project("attention.v_proj", x, "hidden", spec.qkv_bias, **grouped)
    if spec.qk_norm:
        q = make.rms_norm("attention.q_norm", q, "d_k", spec.d_k)
        k = make.rms_norm("attention.k_norm", k, "d_k", spec.d_k)
    if spec.rope:
        q, k = _rope(make, "attention.q_rope", q, "d_k"), _rope(make, "attention.k_rope", k, "d_k")
    k, v = make.cached("attention.core.k_cache", k), make.cached("attention.core.v_cache", v)
    weights = _weights(make, make.add(ScoresOp, "attention.core.scores", q, k))
    context = make.add(ContextOp, "attention.core.context", weights, v)
    out = {"heads": spec.heads, "d_k": spec.d_k, "hidden": hidden}
    return make.project("attention.o_proj", context, ("heads", "d_k"), spec.o_bias, **out)


def _rope(make: Maker, path: str, x: SSAValue, over: str) -> SSAValue:
    spec, kv_len = make.model.attention, str(KV) if make.appends else None
    theta, factor = FloatAttr(spec.rope_theta, f64), FloatAttr(spec.rope_factor, f64) if spec.rope_factor != 1 else None
    return make.add(RopeOp, path, x, over=over, theta=theta, factor=factor, kv_len=kv_len)


def _weights(make: Maker, scores: SSAValue) -> SSAValue:
    """Of scores how much each position counts."""
    spec = make.model.attention
    factor = FloatAttr(spec.score_factor / sqrt(spec.d_k), f64)
    scores = make.add(ScaleOp, "attention.core.scale", scores, factor=factor)
    if spec.causal or spec.window:
        scores = make.add(MaskOp, "attention.core.mask", scores, causal=spec.causal, window=spec.window)
    return make.add(SoftmaxOp, "attention.core.softmax", scores, over="kv_len")


def _latent(make: Maker, x: SSAValue, spec: Latent) -> SSAValue:
    heads, hidden = make.model.attention.heads, make.model.hidden
    plain, rotated = _queries(make, x, spec)
    latent = make.project("attention.kv_down", x, "hidden", hidden=hidden, kv_rank=spec.kv_rank)
    latent = make.rms_norm("attention.kv_norm", latent, "kv_rank", spec.kv_rank)
    key = make.project("attention.shared_k_proj", x, "hidden", hidden=hidden, d_rope=spec.d_rope)
    key = _rope(make, "attention.shared_k_rope", key, "d_rope")
    latent = make.cached("attention.core.latent_cache", latent)
    key = make.cached("attention.core.shared_k_cache", key)
    core = _absorbed if make.decodes else _unfolded
    context = core(make, spec, plain, make.add(ScoresOp, "attention.core.scores.rope", rotated, key), latent)
    return make.project("attention.o_proj", context, ("heads", "d_v"), heads=heads, d_v=spec.d_v, hidden=hidden)


def _queries(make: Maker, x: SSAValue, spec: Latent) -> tuple[SSAValue, SSAValue]:
    """The two parts of every head's query: as it is, and rotated."""
    heads, over, size, kind = make.model.attention.heads, "hidden", make.model.hidden, "proj"
    if spec.q_rank:
        x = make.project("attention.q_down", x, over, hidden=size, q_rank=spec.q_rank)
        x = make.rms_norm("attention.q_norm", x, "q_rank", spec.q_rank)
        over, size, kind = "q_rank", spec.q_rank, "up"
    own = {over: size, "heads": heads}
    plain = make.project(f"attention.q_{kind}", x, over, False, **own, d_nope=spec.d_nope)
    turned = make.project(f"attention.q_rope_{kind}", x, over, False, **own, d_rope=spec.d_rope)
    return plain, _rope(make, "attention.q_rope", turned, "d_rope")


def _up(make: Maker, name: str, spec: Latent, **dims: int) -> SSAValue:
    """The weight that makes keys or values of the latent, of one identity in both phases."""
    return make.weight(
        f"attention.core.{name}.weight", {"kv_rank": spec.kv_rank, "heads": make.model.attention.heads} | dims
    )


def _unfolded(make: Maker, spec: Latent, plain: SSAValue, turned: SSAValue, latent: SSAValue) -> SSAValue:
    """Keys and values of all heads are made of the latent."""
    over = ("kv_rank",)
    k = make.add(ProjectOp, "attention.core.k_up", latent, _up(make, "k_up", spec, d_nope=spec.d_nope), over=over)
    v = make.add(ProjectOp, "attention.core.v_up", latent, _up(make, "v_up", spec, d_v=spec.d_v), over=over)
    weights = _both(make, make.add(ScoresOp, "attention.core.scores.nope", plain, k), turned)
    return make.add(ContextOp, "attention.core.context", weights, v)


def _absorbed(make: Maker, spec: Latent, plain: SSAValue, turned: SSAValue, latent: SSAValue) -> SSAValue:
    """Queries are taken to the latent, and of the latent's context every head makes its values."""
    up = _up(make, "k_up", spec, d_nope=spec.d_nope)
    absorbed = make.add(ProjectOp, "attention.core.q_absorb", plain, up, over=("d_nope",))
    weights = _both(make, make.add(ScoresOp, "attention.core.scores.nope", absorbed, latent), turned)
    context = make.add(ContextOp, "attention.core.context", weights, latent)
    return make.add(ProjectOp, "attention.core.v_up", context, _up(make, "v_up", spec, d_v=spec.d_v), over=("kv_rank",))


def _both(make: Maker, plain: SSAValue, turned: SSAValue) -> SSAValue:
    return _weights(make, make.add(AddOp, "attention.core.scores.sum", plain, turned))
