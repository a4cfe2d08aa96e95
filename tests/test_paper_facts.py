"""What is found in papers: keys, values, lines and words, in every manner of writing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dagc.frontends.description import described
from dagc.frontends.paper.facts import Reading
from dagc.frontends.paper.formats import document_of
from dagc.frontends.paper.lexicon.finding import facts_of
from dagc.frontends.paper.lexicon.linking import links
from dagc.frontends.paper.lexicon.references import references
from dagc.frontends.paper.methods.finding import methods_of
from dagc.frontends.paper.settling.settle import settle
from dagc.frontends.parsed import Parsed

PAPERS = Path(__file__).parent / "data" / "papers" / "facts"
"""Papers, and beside each what must be read in it: a part of its description, and what must be remarked."""

SENTENCES = {
    "32 layers of width 4096, 32 heads of dimension 128": {"layers": 32, "hidden": 4096, "heads": 32, "d_k": 128},
    "model width 2048, sixteen heads of 128, feed-forward width 8192": {
        "hidden": 2048,
        "heads": 16,
        "d_k": 128,
        "ffn": 8192,
    },
    "An expert is a two-matrix MLP (up, GELU, down) with hidden size 16384.": {"ffn": 16384},
    "Token dimension 4096; top-2 routing over 16 experts": {"hidden": 4096, "top_k": 2, "experts": 16},
    "32 query heads and 8 key/value heads": {"heads": 32, "kv_heads": 8},
    "128 sequences of 1024 tokens": {"batch_size": 128, "seq_len": 1024},
    "two nodes of eight GPUs": {"nodes": 2, "gpus_per_node": 8},
    "sequence lengths of 1K, 4K and 8K tokens": {"seq_len": (1024, 4096, 8192)},
    "sixteen accelerators with 900 MB of on-chip memory each": {"gpus": 16, "cache": 900_000_000},
    # What looks like a fact of the model and is none.
    "A stage owns eight consecutive layers": {},
    "with two all-to-alls per layer and an eighth of each matrix": {},
    "stages of 8 layers": {},
    "sixteen layers per stage": {},
}


@pytest.mark.parametrize(("text", "expected"), SENTENCES.items(), ids=str)
def test_numbers_are_linked_to_what_they_count(text: str, expected: dict[str, object]) -> None:
    found = {link.key: link.values if len(link.values) > 1 else link.values[0] for link in links(text) if not link.weak}
    assert found == expected


def test_every_fact_quotes_its_line(tmp_path: Path) -> None:
    paper = tmp_path / "paper.md"
    bullet, table = "* **Model.** 16\n  layers, *32* heads.", "| Item | Value |\n|--|--|\n| Width | 64 |"
    paper.write_text(f"# T\n\n## Setup\n\n{bullet}\n\n{table}\n")
    document = document_of(paper)
    facts = facts_of(document)
    assert {(fact.key, fact.value, fact.source.line) for fact in facts} == {
        ("layers", 16, 5),
        ("heads", 32, 6),
        ("hidden", 64, 10),
    }
    assert all(fact.source.quote in document.lines[fact.source.line - 1] for fact in facts)


def reading(path: Path) -> Reading:
    document = document_of(path)
    facts = facts_of(document)
    methods, remarks = methods_of(document, facts)
    return settle(document, facts, methods, (), remarks)


def within(expected: object, found: object) -> bool:
    """Whether all that is expected is found; what was declared besides does not matter."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(key in found and within(value, found[key]) for key, value in expected.items())
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(within, expected, found))
    return expected == found


@pytest.mark.parametrize(
    "path", sorted(path for path in PAPERS.iterdir() if path.suffix != ".yaml"), ids=lambda p: p.stem
)
def test_a_paper_settles_to_its_description(path: Path) -> None:
    expected = yaml.safe_load(path.with_suffix(".yaml").read_text())
    remarks = expected.pop("remarks", {})
    found = reading(path)
    assert within(expected, found.description), found.description
    for verdict, about in remarks.items():
        assert set(about) <= {remark.about for remark in found.remarks if remark.verdict == verdict}
    if "models" in expected:
        described(Parsed("paper", {k: v for k, v in found.description.items() if k != "strategies"}, {}), Path())


@pytest.mark.parametrize("hostile", ["8," * 3000, "1 " * 3000, "(" * 3000, "heads of " * 1000, "-> 8 " * 1000])
def test_what_is_no_sentence_states_nothing(tmp_path: Path, hostile: str) -> None:
    path = tmp_path / "paper.md"
    path.write_text(f"# T\n\n## Setup\n\n{hostile}\n")
    assert facts_of(document_of(path)) == []


def test_contradictions_name_both_lines() -> None:
    found = reading(PAPERS / "contradictory.md")
    layers = next(remark for remark in found.remarks if remark.about == "layers")
    assert {source.line for source in layers.sources} == {4, 7}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Llama-3.1-8B", ["llama-3.1-8b"]),
        ("Llama 3.1 (8B and 70B)", ["llama-3.1-8b", "llama-3.1-70b"]),
        ("a 70B Llama", ["llama-3.1-70b"]),
        ("Mixtral-8×22B and DeepSeek-V2-Lite", ["mixtral-8x22b", "deepseek-v2-lite"]),
        ("Qwen3-235B-A22B", ["qwen3-235b-a22b"]),
        ("Llama-2-70B", ["Llama-2-70B"]),
        ("we switch to 8 GPUs", []),
    ],
)
def test_published_models_are_known_by_name(text: str, names: list[str]) -> None:
    assert [reference.name for reference in references(text)] == names
