"""The table of fault classes: what the catalogue calls them, whether numbers decide, and who injects them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from xdsl.dialects.builtin import ModuleOp

from dagc.ir.deployment import Deployment

from . import (
    arrangements,
    caches,
    copies,
    exchanges,
    handing,
    holdings,
    layers,
    module_moves,
    module_programs,
    orders,
    parts,
    programs,
    reductions,
    runs,
    sending,
    statements,
    steps,
    stores,
)

Injector = TypeVar("Injector")
GraphInjector = Callable[[Deployment], Iterator[tuple[str, Deployment]]]
ModuleInjector = Callable[[ModuleOp], Iterator[tuple[str, Callable[[], ModuleOp]]]]


@dataclass(frozen=True)
class Fault(Generic[Injector]):
    """A class of faults. `numeric`: a mutant may change nothing, which running it decides; else all must be caught."""

    catalogue: str
    inject: Injector
    numeric: bool = True


GRAPH_FAULTS: dict[str, Fault[GraphInjector]] = {
    "missing reduction": Fault("F1", reductions.missing),
    "addend taken for the sum": Fault("F1 F6", reductions.unpaid),
    "double reduction": Fault("F2", reductions.double),
    "sum of a whole value": Fault("F2", reductions.of_whole_values),
    "full and partial together": Fault("F3", reductions.for_one_user),
    "residual before reduction": Fault("F4", reductions.residual_inside),
    "bias before reduction": Fault("F5", reductions.bias_inside),
    "merge of parts without their weights": Fault("F38", parts.unweighted),
    "shifts of a ring": Fault("F16 F38", parts.shifts),
    "steps of a ring": Fault("F16 F38", parts.steps),
    "ring the other way": Fault("F16 F38", parts.other_way),
    "parts of another step": Fault("F16 F38", parts.of_another),
    "nonlinear before reduction": Fault("F6 F7", reductions.nonlinear_inside),
    "scaled by members": Fault("F7 F25", reductions.scaled),
    "merged as another debt": Fault("F1 F9", reductions.other_kind),
    "half groups": Fault("F1 F8", reductions.half_groups),
    "groups of another axis": Fault("F8 F21", reductions.other_groups),
    "members of two groups swapped": Fault("F8 F21 F22", reductions.swapped_members),
    "a group or member left out": Fault("F33", reductions.group_left_out, numeric=False),
    "wrong collective": Fault("F9", exchanges.wrong_kind),
    "collective along a wrong dimension": Fault("F23 F29", exchanges.wrong_dimension),
    "missing exchange": Fault("F16 F22 F23", exchanges.dropped),
    "wrong member order": Fault("F15 F22", exchanges.member_order),
    "exchanged in another order of parts": Fault("F13 F15", arrangements.stated),
    "exchanged twice": Fault("F2 F22", exchanges.twice),
    "wrong receiver": Fault("F8", exchanges.wrong_receiver),
    "dangling or missing send": Fault("F34", exchanges.dangling, numeric=False),
    "wrong pairs of a transfer": Fault("F8 F34", sending.wrong_pairs),
    "wrong ends of a transfer": Fault("F8 F34", sending.wrong_ends),
    "volume of a transfer": Fault("F33", sending.wrong_volumes, numeric=False),
    "a step's senders swapped": Fault("F8 F22", steps.swapped_senders),
    "a step sends another piece": Fault("F15 F16", steps.other_piece),
    "a step's addend not merged": Fault("F1", steps.not_merged),
    "a step's addend merged twice": Fault("F2", steps.merged_twice),
    "a step left out": Fault("F1 F16", steps.step_left_out),
    "steps of a collective exchanged": Fault("F15 F22", steps.steps_exchanged),
    "label of other addends": Fault("F1 F2", steps.other_addends, numeric=False),
    "wrong heads": Fault("F10 F12", holdings.heads),
    "wrong experts": Fault("F20", holdings.experts),
    "wrong vocabulary part": Fault("F17", holdings.vocabulary),
    "wrong columns of a weight": Fault("F12", holdings.features),
    "fused cut": Fault("F12", holdings.fused_cut),
    "wrong KV head of a query head": Fault("F10", holdings.kv_groups),
    "position offset": Fault("F13", holdings.positions),
    "mask of other positions": Fault("F14", holdings.masks),
    "stale cache": Fault("F36", caches.stale),
    "cache appended to by another owner": Fault("F36", caches.owners),
    "appended before the end of the cache": Fault("F13 F36", caches.early),
    "cache in other parts": Fault("F30", caches.parts),
    "latent cut": Fault("F28", caches.latent_cut),
    "another cache": Fault("F11 F30", caches.others),
    "handed over in other parts": Fault("F39", handing.misplaced),
    "handed over as another cache": Fault("F39", handing.others),
    "handed over by one GPU for all": Fault("F8 F39", handing.from_one),
    "not handed over": Fault("F39", handing.left_out, numeric=False),
    "not waited for": Fault("F34 F39", handing.not_waited_for, numeric=False),
    "token order at the ends": Fault("F15", holdings.ends),
    "another parameter": Fault("F11 F27", holdings.parameters),
    "copies of another expert": Fault("F37", copies.weights),
    "copies of another expert on one GPU": Fault("F31 F37", copies.weights_on_one),
    "rows to slots of another expert": Fault("F20 F37", copies.tables),
    "rows to slots of another expert from one GPU": Fault("F31 F37", copies.tables_on_one),
    "rows taken from other slots than they went to": Fault("F22 F37", copies.taken_elsewhere),
    "untied weight": Fault("F27", holdings.untied),
    "another parameter on one GPU": Fault("F24 F31", holdings.other_parameter_on_one),
    "another constant": Fault("F25", programs.properties),
    "another constant on one GPU": Fault("F25 F31", programs.properties_on_one),
    "operator left out": Fault("F24", programs.left_out),
    "operator run twice": Fault("F24", programs.run_twice),
    "lost residual": Fault("F4", programs.lost_residual),
    "wrong source of an input": Fault("F16", programs.wrong_source),
    "operands swapped": Fault("F16", programs.swapped_operands),
    "weight transposed": Fault("F29", programs.weights_transposed),
    "weight transposed on one GPU": Fault("F29 F31", programs.weights_transposed_on_one),
    "value transposed": Fault("F29", programs.values_transposed),
    "neighbours in another order": Fault("F6", programs.exchanged_rows),
    "a value doubled": Fault("F25", programs.added_constant),
    "layers dropped": Fault("F26", layers.dropped),
    "layers repeated": Fault("F26", layers.repeated),
    "layers shifted": Fault("F26", layers.shifted),
    "layers swapped": Fault("F26", layers.swapped),
    "layers skipped": Fault("F26", layers.skipped),
    "layers on another stage": Fault("F8 F26", layers.on_another_stage, numeric=False),
    "wrong value carried on": Fault("F26", layers.once_more),
    "cycle": Fault("F34", orders.cycles, numeric=False),
    "read before it is made": Fault("F34", orders.reads_later, numeric=False),
    "collectives in another order on one GPU": Fault("F32", orders.collectives_swapped),
    "started early on one GPU": Fault("F34", orders.started_early),
    "stored part of another GPU": Fault("F35", stores.stale_part),
    "weight gathered by other groups": Fault("F35", stores.wrong_group),
    "stored part used as the whole": Fault("F35", stores.not_gathered, numeric=False),
    "weight gathered for another user": Fault("F35", stores.another_weight),
    "weight gathered before anything": Fault("F34 F35", stores.not_waited_for, numeric=False),
    "value used as a gathered weight": Fault("F35", stores.of_activations),
    "stale local size": Fault("F11 F33", statements.local_sizes, numeric=False),
    "stale global size": Fault("F11", statements.whole_sizes, numeric=False),
    "names swapped": Fault("F29", statements.names, numeric=False),
    "another element type": Fault("F11", statements.dtypes, numeric=False),
    "label of another part": Fault("F13 F20", statements.parts, numeric=False),
    "label of another part, to readers too": Fault("F13 F20", statements.parts_agreed),
    "label of another debt": Fault("F1 F2", statements.debts, numeric=False),
}

RUN_FAULTS: dict[str, Fault[GraphInjector]] = {
    "chunk without those before it": Fault("F40", runs.forgetful),
    "cache of another chunk": Fault("F40", runs.of_another_chunk),
    "cache of another layer's part": Fault("F40", runs.of_another_cache),
    "cache waited for, not read": Fault("F40", runs.order_only, numeric=False),
    "another run's part of the batch": Fault("F15 F40", runs.exchanged_parts),
    "runs joined in another order": Fault("F15 F40", runs.exchanged_results),
    "as many keys as another chunk has": Fault("F40", runs.other_length, numeric=False),
    "runs that wait for one another": Fault("F34", runs.backwards, numeric=False),
}
"""Faults between the runs of a program, where they are drawn apart."""

MODULE_FAULTS: dict[str, Fault[ModuleInjector]] = {
    "missing reduction": Fault("F1", module_moves.no_reduction),
    "addend taken for the sum": Fault("F1 F6", module_moves.unpaid, numeric=False),
    "double reduction": Fault("F2", module_moves.double_reduction),
    "shifts of a ring": Fault("F16 F38", parts.in_modules),
    "mean of parts for their merge": Fault("F38", parts.mean_in_modules),
    "reduction after bias, residual or norm": Fault("F4 F5 F6", module_moves.late_reduction),
    "scaled by members": Fault("F25", module_moves.scaled),
    "merged as another debt": Fault("F1 F9", module_moves.other_kind),
    "wrong axis": Fault("F8 F21", module_moves.wrong_axis),
    "part of the axes, or another order": Fault("F8 F15", module_moves.part_of_axes),
    "exchanged in another order of parts": Fault("F13 F15", arrangements.in_modules),
    "parts in another order": Fault("F13 F15", arrangements.of_layouts),
    "wrong collective": Fault("F9", module_moves.wrong_collective),
    "missing exchange": Fault("F16 F22", module_moves.no_exchange),
    "operator left out": Fault("F24", module_programs.left_out),
    "another constant": Fault("F25", module_programs.constants),
    "wrong operand": Fault("F3 F16", module_programs.wrong_value),
    "another weight": Fault("F27", module_programs.other_weight),
    "wrong layers": Fault("F26", module_programs.wrong_layers),
    "layers skipped": Fault("F26", module_programs.skipped_layers),
    "laid out otherwise": Fault("F10 F14 F23", module_moves.other_parts),
    "stale size": Fault("F11 F33", module_moves.other_sizes),
    "stored otherwise": Fault("F35", stores.stored_otherwise, numeric=False),
    "copies of another expert": Fault("F37", copies.in_modules),
    "false debt": Fault("F1 F2", module_moves.false_debts, numeric=False),
    "on another stage": Fault("F8", module_moves.other_pool),
}
