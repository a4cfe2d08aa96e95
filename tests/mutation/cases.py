"""What is mutated: small models under every shipped strategy and products of them, lowered, emitted and run once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
from small_models import MODELS, PLANS, STEP_PLANS, STEP_SIZES
from xdsl.dialects.builtin import ModuleOp

from dagc.frontends.build import build
from dagc.frontends.model import Phase
from dagc.frontends.phases import in_phase
from dagc.frontends.strategy import resolve
from dagc.ir.chunks import chunk_sizes
from dagc.ir.deployment import Deployment
from dagc.ir.dims import Sizes
from dagc.ir.evaluate import evaluate, random_weights
from dagc.ir.module import annotate, sizes_of
from dagc.ir.plan import Plan
from dagc.passes.expand import expand
from dagc.passes.paths import chosen_of, paths
from dagc.passes.unroll import unroll
from dagc.passes.verify import Memory
from dagc.pipeline import lower

WEIGHTS = random_weights(seed=3)

SIZES = {"B": 4, "S": 8}
CHUNK = {"B": 4, "S": 2}
"""Two tokens of every sequence at a time."""
SQUARE = {"B": 8, "S": 8}
"""batch_size = seq_len = hidden: dimensions of equal size, to be confused."""


@dataclass(frozen=True)
class Case:
    """A small model (`small_models`) lowered by a strategy as a user writes it, or by a plan that stands there.

    `faults`: at least so many of the mutants that the suite makes of it change something. `paths`: collectives are
    drawn as transfers on nodes of so many GPUs, `by` these algorithms. `apart`: every run of the program by itself.
    """

    model: str
    strategy: str
    faults: int = 0
    square: bool = False
    phase: Phase = Phase.PREFILL
    paths: int = 0
    by: tuple[str, ...] = ()
    apart: bool = False

    @property
    def name(self) -> str:
        decoded = f" {self.phase}" * (self.phase is Phase.DECODE)
        drawn = " ".join((" in paths", *self.by)) if self.paths else ""
        return f"{self.model} {self.strategy}{decoded}{drawn}" + " apart" * self.apart

    @property
    def sizes(self) -> dict[str, int]:
        if self.phase is Phase.DECODE:
            return STEP_SIZES
        if self._chunks > 1:
            return CHUNK
        return SQUARE if self.square else SIZES

    @property
    def given(self) -> dict[str, int]:
        """Of the total input: all tokens, where runs are apart."""
        return {**self.sizes, "S": self.sizes["S"] * self._chunks} if self.apart else self.sizes

    @property
    def _chunks(self) -> int:
        return self._plan().token_chunks if self.strategy else 1

    @cached_property
    def logical(self) -> ModuleOp:
        """The undivided model."""
        module = build(MODELS[self.model], self.phase, self.leaves, self._chunks)
        annotate(module, sizes=sizes_of(module).bind(**self.sizes))
        return module

    @cached_property
    def _lowered(self) -> ModuleOp:
        module = self.logical.clone()
        annotate(module, plan=self._plan())
        return lower(module)

    def _plan(self) -> Plan:
        stages = "uneven" if "pp" in self.strategy or "pipeline" in self.strategy else None
        plan = (PLANS | STEP_PLANS).get(self.strategy) or resolve(self.strategy, gpus=None, stages=stages)
        return in_phase(plan, self.phase)

    @property
    def leaves(self) -> bool:
        """Are its caches left to a program of its own?"""
        return bool(self._plan().keeps)

    @cached_property
    def step(self) -> Case:
        """The program that comes next."""
        return replace(self, phase=Phase.DECODE)

    @property
    def lowered(self) -> ModuleOp:
        """A fresh copy of the lowered module."""
        return self._lowered.clone()

    @cached_property
    def lowered_sizes(self) -> Sizes:
        """What the lowered module's symbols stand for."""
        return sizes_of(self._lowered)

    @cached_property
    def deployment(self) -> Deployment:
        """The emitted graph, its symbols bound to `sizes`."""
        if self.apart:
            return unroll([expand(self._lowered, self.model, (), sizes) for sizes in chunk_sizes(self._lowered)])
        return self.program

    @cached_property
    def program(self) -> Deployment:
        """What is run, once or more often."""
        hubs = expand(self._lowered, self.model)
        return paths(hubs, self.paths, chosen_of(self.by)) if self.paths else hubs

    @cached_property
    def memory(self) -> Memory:
        """What the verifier found right of the graph and of mutants: it runs what a fault changed, not the rest."""
        return {}

    def inputs(self, seed: int) -> dict[str, np.ndarray]:
        """A random total input: token ids, or activations where the model has no vocabulary."""
        rng, shape = np.random.default_rng(seed), (self.given["B"], self.given["S"])
        model = MODELS[self.model]
        return {
            "input": rng.integers(0, model.vocab, shape) if model.vocab else rng.normal(size=(*shape, model.hidden))
        }

    def expected(self, seed: int) -> np.ndarray:
        """The undivided model's total output."""
        return _expected(self, seed)


@cache
def _expected(case: Case, seed: int) -> np.ndarray:
    whole = build(MODELS[case.model]) if case.apart else case.logical
    return evaluate(whole, case.inputs(seed), WEIGHTS, case.given)


CASES = (
    Case("dense", "tp=2", 60),
    Case("dense", "tp=4", 58),
    Case("dense", "tp-sp=2", 56, square=True),
    Case("dense", "cp=4", 52),
    Case("dense", "cp-zigzag=2", 50),
    Case("moe", "cp-zigzag=2,ep=2", 57),
    Case("dense", "ulysses=2", 49),
    Case("dense", "split-kv=4", 63),
    Case("dense", "ring=4", 52),
    Case("moe", "ring-zigzag=2", 47),
    Case("dense", "usp,cp=2,sp=2", 58),
    Case("pattern", "flash-decoding=2", 43),
    Case("dense", "helix,tpa=2,kvp=2,ep=2,tpf=2", 72),
    Case("pattern", "2d tp, hidden cut", 61),
    Case("pattern", "dp=2", 35),
    Case("dense", "two-level,hg=2,ds=2", 67),
    Case("pattern", "tp=2,pp=2", 60),
    Case("dense", "pp=3", 32),
    Case("dense", "token-pipeline=3", 37),
    Case("moe", "token-pipeline=2,tp=2", 67),
    Case("moe", "pp-fit=3", 34),
    Case("pattern", "pp-interleaved=2,tp=2", 63),
    Case("moe", "ep=4", 48),
    Case("hidden", "ep-replicated=2", 51),
    Case("moe", "ep-tp,ep=2,tp=2", 72),
    Case("moe", "cp=2,ep=2", 54),
    Case("hidden", "ep-allgather=2", 52),
    Case("moe", "deepseek-prefill,dp=2,tp=2", 67),
    Case("hidden", "deepseek-decode,dp=2,tp=4", 64, square=True),
    Case("moe", "ep-redundant=2", 56),
    Case("moe", "ep-folded,dp=2,tp=2,etp=2", 62),
    Case("dense", "dp=2,cp=2,tp=2", 71, square=True),
    Case("moe", "ep=2,tp-sp=2,pp=2", 65),
    Case("dense", "tp-2d,row=2,col=2", 74),
    Case("pattern", "tp-2.5d,depth=2,row=2,col=2", 71),
    Case("moe", "tp-3d,i=2,j=2,l=2", 75),
    Case("dense", "fsdp=4", 51),
    Case("pattern", "hsdp,dp=2,fsdp=2", 53),
    Case("moe", "dwdp=4,pp=2", 59),
    Case("dense", "tp=4", 64, phase=Phase.DECODE),
    Case("moe", "kv cut, experts over both", 76, phase=Phase.DECODE),
    Case("latent", "ep=4", 48),
    Case("latent", "kv cut strided, tp", 72, phase=Phase.DECODE),
    Case("moe", "afd,dp=2,tp=2,ep=4", 68),
    Case("moe", "helix,tpa=2,kvp=2,ep=2,tpf=2", 77, phase=Phase.DECODE),
    Case("moe", "afd, experts×tp", 63),
    Case("dense", "fa-pool,tp=2,fp=4", 60),
    Case("dense", "pd,tp=4,dp=2,kvp=2", 72),
    Case("latent", "pd,tp=2,dp=2", 72),
    Case("moe", "pd,tp=2,dp=2", 55, phase=Phase.DECODE),
    Case("hidden", "layers on three pools", 68),
    Case("dense", "dp uneven", 36),
    Case("dense", "tp, ffn and vocab uneven", 56),
    Case("moe", "ep uneven", 48),
    Case("moe", "slots uneven", 52),
    Case("dense", "tp=4", 56, paths=4),
    Case("dense", "tp=4", 54, paths=4, by=("all-reduce=tree",)),
    Case("dense", "split-kv=4", 55, paths=2),
    Case("moe", "ep=4", 47, paths=2),
    Case("hidden", "ep=2,tp-sp=2", 53, paths=4, by=("all-to-all=pairwise",)),
)
"""Every shipped strategy, products, and norms that are cut; dense and MoE, shared experts, a pattern of layers, tied
embeddings, GQA, latent attention, group-limited routing; prefill and decode;
collectives as one node and as their transfers."""

APART = (
    Case("dense", "token-pipeline=2", 35, apart=True),
    Case("moe", "token-pipeline=2,ep=2", 49, apart=True),
    Case("latent", "token-pipeline=1,tp=2", 54, apart=True),
)
"""Runs of a program drawn apart."""
