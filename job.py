"""What is asked for and what comes of it: a request, and one job per model and strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from .diagnostics import Diagnostic
from .frontends.model import Cluster, Model, Phase
from .ir.deployment import Deployment
from .ir.plan import Plan
from .passes.verify import Verdict

HUB, PATHS = "hub", "paths"
"""Collectives drawn as one node per group, or as the transfers of an algorithm."""
NOT_THE_MODELS = {"unpaid", "DEP3"}
"""Codes of what is wrong with a deployment that computes another function."""


@dataclass(frozen=True)
class Request:
    """What the user asked for, as flags gave it; None where a flag was not given.

    Sizes are numbers, or "symbolic" to stay unbound. In decode `seq_len` counts the new tokens of a step, which are the
    last of the `kv_len` in the cache. Without `phases`, prefill is meant.
    """

    source: str | None = None
    strategies: tuple[str, ...] = ()
    baseline: str | None = None
    mesh: str | None = None
    stages: str | None = None
    layers_per_chunk: int | None = None
    gpus: int | None = None
    micro_batches: int | None = None
    token_chunks: int | None = None
    redundant_experts: int | None = None
    batch_size: int | str | None = None
    seq_len: int | str | None = None
    kv_len: int | str | None = None
    phases: tuple[str, ...] = ()
    dtype: str | None = None
    make_vocab_size_divisible_by: int | None = None
    fused_attention: bool = True
    max_imbalance: float | None = None
    per_expert: bool = False
    unroll: bool = False
    numeric: bool = False
    collectives: str = HUB
    algorithm: tuple[str, ...] = ()
    as_written: bool = False
    all_regimes: bool = False


@dataclass(frozen=True)
class Drawn:
    """How the graph of a lowered module is drawn: what a report keeps, so that it can be drawn anew.

    `collectives`: as one node a group ("hub"), or as the transfers of `algorithms` (collective → algorithm; of others
    the one that suits) on nodes of `gpus_per_node` ("paths"). `unrolled`: every micro-batch by itself.
    """

    facts: tuple[str, ...] = ()
    per_expert: bool = False
    collectives: str = HUB
    algorithms: Mapping[str, str] = field(default_factory=dict)
    gpus_per_node: int = 8
    unrolled: bool = False

    @staticmethod
    def read(data: Mapping[str, Any]) -> Drawn:
        """What a report says. TypeError where it says no such thing."""
        drawn = Drawn(
            tuple(data["facts"]),
            data["per_expert"],
            data["collectives"],
            dict(data["algorithms"]),
            data["gpus_per_node"],
            data["unrolled"],
        )
        if not isinstance(drawn.gpus_per_node, int) or drawn.gpus_per_node < 1:
            raise TypeError(f"gpus_per_node: {drawn.gpus_per_node!r}")
        return drawn


@dataclass(frozen=True)
class Alternative:
    """What came of one way that a strategy lists: bytes that a GPU sends, whether it was kept, and why (not)."""

    name: str
    bytes_sent_per_gpu: int | str | None
    kept: bool
    why: str


@dataclass
class Job:
    """One deployment to make, and what came of it. Without a plan, `diagnostics` say why it could not be planned.

    `asked`: what the strategy was called. Of one that lists alternatives `alternatives` are the jobs of all, each named
    by `alternative`; in what comes of it, `considered`.
    """

    model: Model
    strategy: str
    role: str
    cluster: Cluster
    plan: Plan | None = None
    phase: Phase = Phase.PREFILL
    sizes: dict[str, int | None] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    diagnostics: list[Diagnostic] = field(default_factory=list)
    logical: str = ""
    """The text of the logical module with the plan: what `module` is lowered from."""
    module: ModuleOp | None = None
    graph: Deployment | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    verdict: Verdict | None = None
    drawn: Drawn = Drawn()
    after: tuple[Job, ...] = ()
    """The prefill, where that is a program of its own that leaves its caches to this one; in each of its regimes."""
    setting: str = ""
    """Of several sizes or numbers of GPUs that one description lists, this one's: `seq_len=8192`."""
    asked: str = ""
    alternative: str = ""
    alternatives: tuple[Job, ...] = ()
    considered: tuple[Alternative, ...] = ()

    @property
    def bound(self) -> dict[str, int | None]:
        """What the symbols of the program stand for: it runs on a chunk of one micro-batch at a time."""
        batch, tokens = self.batch, self.sizes.get("S")
        return {**self.sizes, "B": batch and batch // self.micro_batches, "S": tokens and tokens // self.token_chunks}

    @property
    def batch(self) -> int | None:
        """Sequences of the whole batch; None where that is left free."""
        return self.sizes.get("B")

    @property
    def micro_batches(self) -> int:
        return self.plan.micro_batches if self.plan else 1

    @property
    def token_chunks(self) -> int:
        return self.plan.token_chunks if self.plan else 1

    @property
    def name(self) -> str:
        """The strategy, its setting where there are several, and the phase where it is not prefill: what files and
        messages call the deployment.
        """
        name = f"{self.strategy} ({self.alternative})" if self.alternative else self.strategy
        name += f"@{self.setting}" * bool(self.setting)
        return name if self.phase is Phase.PREFILL else f"{name}.{self.phase}"

    @property
    def status(self) -> str:
        """`as-written`: it is what the plan says, which is not what the model computes, and nothing else is wrong."""
        wrong = {d.code for d in self.diagnostics if d.severity == "error"}
        if self.graph is not None and self.plan and self.plan.as_written and wrong and wrong <= NOT_THE_MODELS:
            return "as-written"
        return "refused" if wrong else "valid"
