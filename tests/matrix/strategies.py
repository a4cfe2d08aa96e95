"""How every strategy is asked for on n GPUs, and the formula it is held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import volumes
from .volumes import Case, Sends


@dataclass(frozen=True)
class Entry:
    """`text` with `{n}` and `{h}` for all and half of the GPUs; the sends of a layer of a GPU.

    `refused`: what dagc says where a kind of model, or a phase, makes it impossible: (condition, words of the reason).
    """

    text: str
    sends: Callable[[Case], Sends]
    refused: tuple[tuple[str, str], ...] = ()

    def strategy(self, gpus: int) -> str:
        return self.text.format(n=gpus, h=gpus // 2)

    def reason(self, model: str, phase: str) -> str | None:
        """Why this cell is impossible, in words that dagc's reason holds; None where it is possible."""
        return next((words for condition, words in self.refused if condition in (model, phase)), None)


ONE_TOKEN = (("decode", "does not divide seq_len = 1"),)
ODD_LAYERS = (("MLA", "does not divide 27 layers evenly"),)
AT_ONCE = (("decode", "takes its new tokens at once"),)
NO_EXPERTS = (("dense GQA", "cuts nothing of this model"), ("MQA", "cuts nothing of this model"))

STRATEGIES: dict[str, Entry] = {
    "dp": Entry("dp={n}", volumes.none),
    "tp": Entry("tp={n}", volumes.tensor_parallel),
    "tp-sp": Entry("tp-sp={n}", volumes.sequence_parallel, ONE_TOKEN),
    "pp": Entry("dp={h},pp=2", volumes.none, ODD_LAYERS),
    "pp-interleaved": Entry("dp={h},pp-interleaved=2", volumes.none, ODD_LAYERS),
    "pp-fit": Entry("tp={h},pp-fit=2", volumes.tensor_parallel),
    "tp×pp": Entry("tp={h},pp=2", volumes.tensor_parallel, ODD_LAYERS),
    "token-pipeline": Entry("tp={h},token-pipeline=2", volumes.in_four_chunks, AT_ONCE + ODD_LAYERS),
    "cp": Entry("cp={n}", volumes.gathered_kv, ONE_TOKEN),
    "cp-zigzag": Entry("cp-zigzag={n}", volumes.gathered_kv, ONE_TOKEN),
    "split-kv": Entry("split-kv={n}", volumes.split_kv, ONE_TOKEN),
    "flash-decoding": Entry("flash-decoding={n}", volumes.flash_decoding),
    "ring": Entry("ring={n}", volumes.ring, ONE_TOKEN),
    "ring-zigzag": Entry("ring-zigzag={n}", volumes.ring, ONE_TOKEN),
    "usp": Entry("usp,cp={h},sp=2", volumes.unified, ONE_TOKEN),
    "two-level": Entry("two-level={n}", volumes.two_level),
    "ulysses": Entry("ulysses={n}", volumes.ulysses, ONE_TOKEN),
    "ep": Entry("ep={n}", volumes.expert_parallel),
    "ep-replicated": Entry("ep-replicated={n}", volumes.experts_of_replicated_tokens, NO_EXPERTS),
    "ep-allgather": Entry("ep-allgather={n}", volumes.gathered_tokens),
    "deepseek-prefill": Entry("deepseek-prefill,dp=2,tp={h}", volumes.deepseek_unit, ONE_TOKEN),
    "deepseek-decode": Entry("deepseek-decode,dp=2,tp={h}", volumes.deepseek_unit),
    "ep-redundant": Entry("ep-redundant={n}", volumes.expert_parallel),
    "ep-folded": Entry("ep-folded={n}", volumes.folded_experts, ONE_TOKEN),
    "helix": Entry("helix={n}", volumes.helix),
    "afd": Entry("afd,dp={h},ep={h}", volumes.attention_apart),
    "fa-pool": Entry("fa-pool,tp={h},fp={h}", volumes.attention_pool),
    "pd": Entry("pd,tp={h},dp={h}", volumes.handed_over),
    "fsdp": Entry("fsdp={n}", volumes.gathered_weights),
    "hsdp": Entry("hsdp={n}", volumes.gathered_weights),
    "dwdp": Entry("dwdp={n}", volumes.pulled_experts),
    "tp-2d": Entry("tp-2d={n}", volumes.summa),
    "tp-2.5d": Entry("tp-2.5d={n}", volumes.summa),
    "tp-3d": Entry("tp-3d={n}", volumes.cube),
    "ep-tp": Entry("ep={h},tp=2", volumes.expert_and_tensor_parallel),
}
