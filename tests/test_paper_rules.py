"""Rules of a house: recognised by their words, held against plans, binding where a paper leaves it open."""

from __future__ import annotations

from pathlib import Path

import pytest
from served import read

from dagc.frontends.paper.facts import Option, Point, Remark, Source, Verdict
from dagc.frontends.paper.formats import document_of
from dagc.frontends.paper.knowledge.rules import HouseRule, rule_of, rules_of
from dagc.ir.demand import Demand, Kind
from dagc.job import Job, Request
from dagc.planning import plan
from dagc.ruling import Pick, picks, profile, ruled

DATA = Path(__file__).parent / "data"
NEVER_TP_EXPERTS = Demand(Kind.NEVER, "tp", "experts")
RULES = {
    "no tensor parallelism inside experts": NEVER_TP_EXPERTS,
    "Experts should never be sharded": NEVER_TP_EXPERTS,
    "Do not apply TP within an expert.": NEVER_TP_EXPERTS,
    "no sequence parallelism in decode": Demand(Kind.NEVER, "sp", "", "decode"),
    "Sequence parallelism is only used in prefill": Demand(Kind.NEVER, "sp", "", "decode"),
    "Context parallelism must not be combined with decoding": Demand(Kind.NEVER, "sp", "", "decode"),
    "Never split layer norms": Demand(Kind.NEVER, "any", "norms"),
    "The router must be replicated on every GPU": Demand(Kind.NEVER, "any", "gate"),
    "The KV cache must not be split along the sequence": Demand(Kind.NEVER, "sp", "cache"),
    "Don't use pipeline parallelism": Demand(Kind.NEVER, "pp"),
    "TP stays inside a node": Demand(Kind.NODE, "tp"),
    "Tensor parallelism must not cross node boundaries": Demand(Kind.NODE, "tp"),
    "Never run TP across servers": Demand(Kind.NODE, "tp"),
    "at least 4 experts per GPU": Demand(Kind.EXPERTS, least=4),
    "Each GPU hosts exactly two experts of a layer": Demand(Kind.EXPERTS, least=2, most=2),
    "At most one expert per card": Demand(Kind.EXPERTS, most=1),
    "The tensor parallel degree should not exceed 8": Demand(Kind.DEGREE, "tp", most=8),
    "A TP degree greater than 8 is forbidden": Demand(Kind.DEGREE, "tp", most=8),
    "Each expert has its own GPU": Demand(Kind.EXPERTS, most=1),
    "The embedding is replicated on every device": Demand(Kind.NEVER, "any", "vocabulary"),
    "In the decode phase, sequence parallelism is useless": Demand(Kind.NEVER, "sp", "", "decode"),
    "Limit tensor parallelism to 8 GPUs": Demand(Kind.DEGREE, "tp", most=8),
    "Attention must use data parallelism": Demand(Kind.ALWAYS, "dp", "attention"),
    "Prefer expert parallelism for MoE layers": Demand(Kind.ALWAYS, "ep", "experts"),
    "Communication nodes are ellipses": Demand(Kind.DRAWN, codes=("NODE1",)),
    "The graph must be acyclic": Demand(Kind.DRAWN, codes=("DAG1",)),
}


@pytest.mark.parametrize("text", RULES)
def test_rules_are_recognised_by_their_words(text: str) -> None:
    assert rule_of(text) == ((RULES[text],), "")


WRONG = {
    "EP degree must be at least 16": "no law",
    "The expert parallel degree must be ≥ 16": "no law",
    "Tensor parallelism always needs an all-reduce after attention": "reduce-scatter",
    "Expert parallelism always requires all-to-all": "ep-allgather",
    "Layer norms cannot be split": "partial sums of squares",
    "Sequence parallelism cannot be used in decode": "log-sum-exp",
    "The TP size must divide the number of heads": "unevenly",
    "The number of GPUs must be a power of two": "any number of parts",
    "Sequence parallelism requires tensor parallelism": "Ulysses",
    "Tensor parallelism cannot cross nodes": "slower",
    "The number of GPUs must equal TP × PP × DP": "axes of one mesh",
    "The batch size must be divisible by DP": "unevenly",
    "Ring attention only approximates, it changes the result": "log-sum-exp",
    "After row-parallel layers an all-reduce is mandatory": "reduce-scatter",
    "All-to-all is always needed for MoE": "ep-allgather",
    "Pipeline stages must have the same number of layers": "uneven",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_in_general_says_why(text: str) -> None:
    found = rule_of(text)
    assert found is not None
    assert WRONG[text] in found[1]


@pytest.mark.parametrize(
    "text",
    [
        "An H100 has 80 GB of memory",
        "Mixtral 8x7B has 8 experts and top-2 routing",
        "We call a deployment wide when its expert parallel degree is 16 or more",
        "KV heads are replicated when fewer than TP",
        "Roses are red",
        "Finer partitions balance better than TP=8 with two stages, because there is no pipeline bubble",
        "Attention runs in a fused kernel, so that the score matrix is never stored",
        "softmax(Q K^T) on a slice is not multi-head attention: scores are a sum over slices",
        "all 16 experts on every rank, 1/8 of each",
    ],
)
def test_facts_and_definitions_are_no_rules(text: str) -> None:
    assert rule_of(text) is None


def rule(text: str) -> HouseRule:
    demands, wrong = rule_of(text) or ((), "")
    return HouseRule(text, Source(1, text, "rules.md"), demands, wrong)


def jobs(*strategies: str, **request: object) -> list[Job]:
    return plan(Request(str(DATA / "large_ep.yaml"), strategies=strategies, **request))  # pyright: ignore


SAID = {"tp=8,pp=2": (Source(22, "TP=8, PP=2"),)}


def judged(text: str, made: list[Job]) -> Remark:
    return ruled([rule(text)], made, SAID)[0]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("no tensor parallelism inside experts", "overridden by the paper: line 22"),
        ("At most one expert per card", "overridden by the paper: line 22"),
        ("TP degree must not exceed 4", "overridden by the paper: line 22"),
        ("Never use pipeline parallelism", "overridden by the paper: line 22"),
        ("Never split layer norms", "obeyed"),
        ("TP stays inside a node", "obeyed"),
        ("Communication nodes are ellipses", "obeyed: NODE1"),
        ("no sequence parallelism in decode", "says nothing of these deployments"),
        ("At least 4 experts per GPU", "not obeyed"),
        ("EP degree must be at least 16", "wrong in general: no law"),
        ("Tensor parallelism should be applied with care", "not understood"),
        ("Keep shared experts replicated on all GPUs", "says nothing of these deployments"),
    ],
)
def test_each_rule_gets_a_verdict(text: str, verdict: str) -> None:
    found = judged(text, jobs("ep"))
    assert found.text.startswith(verdict), found
    assert found.verdict is Verdict.RULE
    assert found.sources[0].file == "rules.md"


def test_a_broken_rule_shows_by_what() -> None:
    found = judged("no tensor parallelism inside experts", jobs("ep"))
    assert found.arithmetic.startswith("baseline tp=8,pp=2: tp = 8 cuts ffn at layers.moe.experts.up_proj")
    assert found.sources[1] == SAID["tp=8,pp=2"][0]


def test_a_rule_that_two_files_state_is_judged_once() -> None:
    (found,) = ruled([rule("Never split layer norms"), rule("never split layer norms")], jobs("ep"))
    assert [source.file for source in found.sources] == ["rules.md", "rules.md"]


def test_tensor_parallelism_over_two_nodes_is_seen() -> None:
    found = judged("TP stays inside a node", jobs("tp=16"))
    assert "tp = 16 cuts ffn at layers.moe.experts.down_proj, over GPUs of several nodes of 8" in found.arithmetic


def test_sequence_parallelism_in_decode_is_seen_where_the_phase_is_decode() -> None:
    made = jobs("cp=2,tp=8", phases=("decode",), kv_len=1024, batch_size=128)
    assert judged("no sequence parallelism in decode", made).text.startswith("not obeyed")


def test_pools_have_gpus_of_their_own() -> None:
    made = plan(Request("mixtral-8x7b", strategies=("afd",), gpus=12, baseline="none", batch_size=64))
    assert judged("TP stays inside a node", made).text == "obeyed"
    assert judged("Attention must use data parallelism", made).text == "obeyed"


def picked(text: str, chosen: str = "data-parallel") -> list[Pick]:
    options = tuple(Option(name, name, "") for name in ("data-parallel", "tensor-parallel"))
    point = Point("attention", "how is attention deployed?", options, chosen, "it is usual")
    strategies = {"data-parallel": "ep", "tensor-parallel": "tp=16"}
    return picks([point], [rule(text)], lambda answers: jobs(strategies[answers.get("attention", chosen)]))


def test_rules_bind_what_dagc_chooses() -> None:
    (pick,) = picked("Attention must use tensor parallelism")
    assert (pick.option, pick.why) == ("tensor-parallel", "a rule of the house demands it (rules.md:1)")
    (pick,) = picked("TP stays inside a node", "tensor-parallel")
    assert pick.option == "data-parallel"


def test_rules_that_hold_anyway_are_wrong_or_hold_nowhere_bind_nothing() -> None:
    assert picked("TP stays inside a node") == []
    assert picked("EP degree must be at least 32", "tensor-parallel") == []
    assert picked("At least 4 experts per GPU and at most 4 layers") == []


def test_rules_of_drawn_graphs_are_a_profile_of_the_lint() -> None:
    assert profile([rule("Communication nodes are ellipses"), rule("The graph must be acyclic")]) == ("DAG1", "NODE1")


def test_a_file_of_rules_is_read_rule_by_rule(tmp_path: Path) -> None:
    text = (
        "# House rules\n\n- no tensor parallelism inside experts\n- Never split layer norms. TP stays inside a node.\n"
    )
    (tmp_path / "rules.md").write_text(text)
    found = rules_of(document_of(tmp_path / "rules.md"))
    assert [(rule.text, rule.source.line) for rule in found] == [
        ("no tensor parallelism inside experts", 3),
        ("Never split layer norms", 4),
        ("TP stays inside a node", 4),
    ]


def test_rules_with_conditions_are_not_taken_for_ones_without() -> None:
    assert rule_of("Do not use ring attention for sequences shorter than 4096 tokens") == ((), "")
    assert rule_of("Never use tensor parallelism unless one expert does not fit") == ((), "")


def test_a_rule_decides_what_the_paper_leaves_open_and_is_cited(tmp_path: Path) -> None:
    text = read(tmp_path, "- Attention must use tensor parallelism.\n")
    assert "tensor parallel on the same GPUs" in text
    assert "(a rule of the house demands it (rules.md:1))" in text
    assert "Attention must use tensor parallelism: obeyed" in text
    assert "ep: heads" in text


def test_what_the_user_asks_for_comes_before_rules(tmp_path: Path) -> None:
    text = read(tmp_path, "- Attention must use tensor parallelism.\n", "--reading", "attention=data-parallel")
    assert "(as asked for)" in text
    assert "Attention must use tensor parallelism: overridden by the paper" in text


def test_what_the_paper_says_comes_before_rules(tmp_path: Path) -> None:
    text = read(tmp_path, "- no tensor parallelism inside experts\n")
    assert "no tensor parallelism inside experts: overridden by the paper: line 10" in text
    assert "baseline: tp=2,pp=2" in text
