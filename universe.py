"""The dag dialect and its passes for any xDSL tool (`xdsl.universe` entry point): imported only when they are used."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.ir import Dialect
from xdsl.passes import ModulePass
from xdsl.universe import Universe

PASSES = {
    "place": "PlacePass",
    "slots": "SlotsPass",
    "split": "SplitPass",
    "shard": "ShardPass",
    "communicate": "CommunicatePass",
    "tidy": "TidyPass",
}


def _dialect() -> Dialect:
    from .ir.dialect import DAG

    return DAG


def _pass(name: str) -> Callable[[], type[ModulePass]]:
    def load() -> type[ModulePass]:
        from importlib import import_module

        return getattr(import_module(f".passes.{name}", __package__), PASSES[name])

    return load


UNIVERSE = Universe(all_dialects={"dag": _dialect}, all_passes={name: _pass(name) for name in PASSES})
