"""What is said of batches, lengths and phases → the sizes of a description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..document import Part
from ..facts import Fact, How, Remark, Verdict
from ..lexicon.vocabulary import about
from .deciding import Decisions
from .filling import Chosen, declare, derive

DECODE = "decode"


def sizes(decisions: Decisions, facts: Sequence[Fact]) -> Chosen:
    """Sizes that count; those left out are declared."""
    own = [fact for fact in facts if about(fact.key) == "sizes"]
    chosen = decisions.decided(fact for fact in own if fact.key != "phase")
    decisions.remarks += derive(chosen, ("batch_size",), "")
    decisions.remarks += _phase(chosen, [fact for fact in own if fact.key == "phase" and fact.part is Part.SETUP])
    decisions.remarks += declare(chosen, "sizes")
    decisions.counted += chosen.values()
    return chosen


def _phase(chosen: Chosen, stated: Sequence[Fact]) -> list[Remark]:
    """Prefill, unless the setup speaks of decode, or of the length of a cache and of no phase; where it speaks of
    decode only, a sequence's length is its cache's. Of both phases: as the method has them, on the same GPUs or apart.
    """
    phases = {str(fact.value) for fact in stated}
    first = next((fact for fact in stated if fact.value == DECODE), None if phases else _of_cache(chosen.get("kv_len")))
    if first is None or (len(phases) > 1 and "kv_len" not in chosen):
        return []
    chosen["phase"] = first
    if len(phases) > 1:
        return []
    remarks = []
    if "kv_len" not in chosen and "seq_len" in chosen:
        why = "tokens that a step finds in its cache"
        chosen["kv_len"] = cached = replace(chosen["seq_len"], key="kv_len", how=How.DERIVED, why=why)
        text = "in decode the length of a sequence is that of its cache; a step adds one token"
        remarks.append(Remark(Verdict.DERIVED, "kv_len", text, (cached.source, first.source)))
    chosen["seq_len"] = Fact("seq_len", 1, first.source, how=How.DERIVED, why="one new token a step")
    return remarks


def _of_cache(length: Fact | None) -> Fact | None:
    """The phase that reads a cache, where the length of one is said."""
    why = "a step of decode reads a cache of this length"
    return length and replace(length, key="phase", value=DECODE, unit="", how=How.DERIVED, why=why)
