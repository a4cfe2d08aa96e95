"""What facts say before they are settled, as values for expressions: one for each key, with what follows from them.

heads 32, hidden 4096, gpus (8, 16)      heads 32, hidden 4096, d_k 128; gpus stays open
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..facts import Fact, Value
from ..lexicon.vocabulary import about
from ..settling.deciding import decided, fitting
from ..settling.describing import CLUSTER_KEYS, MODEL_KEYS
from ..settling.filling import Chosen, derive
from ..settling.scoping import platforms

OPEN = "gpus"
"""Stands for a size that is what is left of the GPUs, however many there are."""


def known_of(facts: Sequence[Fact], degrees: Sequence[Mapping[str, int]] = ()) -> dict[str, Value]:
    """Values by key: of the main cluster, and what is said of all models before what is said of one. Where a paper has
    several numbers of GPUs, `gpus` is `OPEN`. `degrees` are those of the methods: what fits them counts before.
    """
    cluster, _ = platforms(facts)
    own = [*cluster, *(fact for fact in facts if about(fact.key) != "cluster")]
    by_key: dict[str, list[Fact]] = {}
    for fact in sorted(own, key=lambda fact: fact.of != ""):
        by_key.setdefault(fact.key, []).append(fact)
    chosen: Chosen = {key: decided(found, fitting(key, degrees))[0] for key, found in by_key.items()}
    derive(chosen, (*MODEL_KEYS, *CLUSTER_KEYS), "")
    values = {key: fact.value for key, fact in chosen.items()}
    return {**values, "gpus": OPEN} if isinstance(values.get("gpus"), tuple) else values
