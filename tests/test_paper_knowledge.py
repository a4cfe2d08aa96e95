"""Knowledge: facts fill what a paper leaves out, rules bind what dagc chooses, and nothing overrides the paper."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from served import read

from dagc.diagnostics import Refused
from dagc.frontends.paper.document import Document
from dagc.frontends.paper.facts import How, Verdict
from dagc.frontends.paper.formats import document_of
from dagc.frontends.paper.knowledge.filling import Filled, filling
from dagc.frontends.paper.knowledge.folder import MAX_FILES, knowledge_of
from dagc.frontends.paper.lexicon.finding import facts_of

DATA = Path(__file__).parent / "data"
PAPER = """\
# Wide Experts

## Setup

The model has 16 layers and 16 experts per layer. Each layer has 32 heads of dimension 128. Its hidden size is 4096. It
runs on 16 H100 GPUs.
A second study uses Llama-3.1-70B.
"""


def document(folder: Path, text: str = PAPER, name: str = "paper.md") -> Document:
    (folder / name).write_text(text)
    return document_of(folder / name)


def filled(folder: Path, files: dict[str, str], text: str = PAPER) -> Filled:
    known = folder / "known"
    known.mkdir()
    for name, content in files.items():
        (known / name).write_text(content)
    paper = document(folder, text)
    return filling(knowledge_of(known), paper, facts_of(paper))


def said(filled: Filled) -> dict[str, object]:
    return {fact.key: fact.value for fact in filled.facts}


def about(filled: Filled) -> dict[str, str]:
    return {remark.about: remark.text for remark in filled.remarks}


GPUS = """\
# GPUs

The H100 has 80 GB of HBM memory. The A100 has 40 GB of memory.

| GPU | Memory | L2 cache |
|---|---|---|
| A100 | 40 GB | 40 MB |
| H100 | 80 GB | 50 MB |
"""


def test_a_fact_of_the_papers_gpu_fills_a_gap_and_is_cited(tmp_path: Path) -> None:
    found = filled(tmp_path, {"gpus.md": GPUS})
    assert said(found) == {"memory": 80 * 10**9, "cache": 50 * 10**6}
    memory = next(fact for fact in found.facts if fact.key == "memory")
    assert (memory.how, memory.source.file, memory.source.line) == (How.KNOWLEDGE, "gpus.md", 3)
    assert "80 GB" in memory.source.quote
    assert found.remarks == ()


def test_another_spelling_of_a_gpu_is_the_same_and_a_longer_name_another(tmp_path: Path) -> None:
    found = filled(tmp_path, {"a.md": "The A100 has 40 GB of memory."}, PAPER.replace("H100", "A10"))
    assert said(found) == {}


def test_the_paper_stands_against_knowledge(tmp_path: Path) -> None:
    text = PAPER.replace("16 H100 GPUs.", "16 H100 GPUs with 96 GB of memory.")
    found = filled(tmp_path, {"gpus.md": GPUS}, text)
    assert said(found) == {"cache": 50 * 10**6}
    assert "the paper stands" in about(found)["memory"]


def test_of_two_files_the_first_counts_and_both_are_said(tmp_path: Path) -> None:
    files = {"a.md": "The H100 has 80 GB of memory.", "b.md": "The H100 has 94 GB of memory."}
    found = filled(tmp_path, files)
    assert said(found) == {"memory": 80 * 10**9}
    assert "94" in about(found)["memory"]


def test_a_model_that_the_paper_names_is_known_and_others_are_not(tmp_path: Path) -> None:
    files = {
        "llama.md": "Llama 3.1 70B has a vocabulary of 128256 tokens.",
        "opt.md": "OPT-30B has a hidden size of 7168.",
    }
    found = filled(tmp_path, files)
    assert said(found).get("vocab") == 128256
    assert "hidden" not in said(found)
    assert "no GPU and no model of the paper" in about(found)["opt.md"]


def test_a_file_without_a_name_counts_where_it_agrees_with_the_paper(tmp_path: Path) -> None:
    alike = "The model has 16 layers. There are 32 heads. Its hidden size is 4096. The vocabulary has 32000 tokens."
    other = "The model has 48 layers. There are 32 heads. Its hidden size is 4096. The vocabulary has 50000 tokens."
    assert said(filled(tmp_path, {"alike.md": alike}))["vocab"] == 32000
    (tmp_path / "x").mkdir()
    assert "vocab" not in said(filled(tmp_path / "x", {"other.md": other}))


def test_another_paper_is_another_experiment(tmp_path: Path) -> None:
    other = "# On Caches\n\n## Abstract\nWe must never split experts.\n\n## Setup\nChips have 900 MB of cache.\n"
    found = filled(tmp_path, {"other.md": other})
    assert said(found) == {}
    assert knowledge_of(tmp_path / "known")[0].rules == ()
    assert "other.md" in about(found)


def test_the_paper_itself_is_no_knowledge_beside_it(tmp_path: Path) -> None:
    document(tmp_path)
    assert knowledge_of(tmp_path, tmp_path / "paper.md") == ()


def test_sizes_and_numbers_of_gpus_are_the_papers_to_say(tmp_path: Path) -> None:
    found = filled(tmp_path, {"other.md": "We use batch size 64 and sequence length 2048 on 64 H100 GPUs."})
    assert said(found) == {}
    assert "other.md" in about(found)


def test_a_configuration_is_the_model_that_it_is(tmp_path: Path) -> None:
    config = json.loads((DATA / "configs" / "Llama-3.1-70B" / "config.json").read_text())
    found = filled(tmp_path, {"Llama-3.1-70B.json": json.dumps(config, indent=1)}, "# P\n\nWe serve Llama 3.1 70B.\n")
    values = said(found)
    assert (values["layers"], values["hidden"], values["heads"], values["kv_heads"]) == (80, 8192, 64, 8)
    assert (values["d_k"], values["ffn"], values["vocab"], values["dtype"]) == (128, 28672, 128256, "bf16")
    layers = next(fact for fact in found.facts if fact.key == "layers")
    assert layers.source.quote == '"num_hidden_layers": 80'


KEYED = """\
gpus:
  A100: {memory: 40 GB}
  H100:
    memory_gb: 80
    l2_cache: 50 MB
    network_bandwidth: 50 GB/s
nodes: {gpus_per_node: 8}
forbidden:
  - no tensor parallelism inside experts
"""


def test_keys_of_yaml_and_json_say_what_a_value_is_of(tmp_path: Path) -> None:
    found = filled(tmp_path, {"cluster.yaml": KEYED})
    assert said(found) == {"memory": 80 * 10**9, "cache": 50 * 10**6, "links.across": 50 * 10**9, "gpus_per_node": 8}
    cache = next(fact for fact in found.facts if fact.key == "cache")
    assert (cache.source.line, cache.source.quote) == (5, "l2_cache: 50 MB")
    (file,) = knowledge_of(tmp_path / "known")
    assert [(rule.text, rule.source.line) for rule in file.rules] == [("no tensor parallelism inside experts", 9)]


def test_json_names_its_gpu_beside_its_values(tmp_path: Path) -> None:
    data = [{"name": "NVIDIA A100", "memory": "40 GB"}, {"name": "NVIDIA H100 SXM", "memory": "80 GB"}]
    assert said(filled(tmp_path, {"gpus.json": json.dumps(data)})) == {"memory": 80 * 10**9}
    (tmp_path / "x").mkdir()
    assert said(filled(tmp_path / "x", {"gpus.json": json.dumps(data, indent="\t")})) == {"memory": 80 * 10**9}


def test_what_does_not_matter_or_cannot_be_read_is_listed_and_nothing_fails(tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.mkdir()
    (known / "binary.bin").write_bytes(bytes(range(256)))
    (known / "empty.md").write_text("")
    (known / "poem.md").write_text("# Roses\n\nRoses are red.\n")
    (known / "broken.json").write_text('{"architectures": [')
    (known / "deep.json").write_text("[" * 5000)
    (known / "bomb.yaml").write_text(
        "a: &a [x, x]\n"
        + "".join(f"{c}: &{c} [*{p}, *{p}, *{p}, *{p}]\n" for p, c in zip("abcdefghijkl", "bcdefghijklm", strict=True))
    )
    (known / "unknown.json").write_text('{"architectures": ["StarCoderForCausalLM"]}')
    (known / "large.txt").write_bytes(b"x" * 3_000_000)
    (known / "data.txt").write_text("16 experts " * 30_000)
    (known / "words.txt").write_text("never tensor parallel " * 10_000)
    os.symlink(tmp_path / "nowhere", known / "dangling.md")
    os.mkfifo(known / "pipe.md")
    os.symlink(known, known / "loop")
    paper = document(tmp_path)
    found = filling(knowledge_of(known), paper, facts_of(paper))
    assert found.facts == ()
    listed = {remark.about for remark in found.remarks}
    assert listed == {entry.name for entry in known.iterdir() if entry.name != "loop"}
    assert {remark.verdict for remark in found.remarks} == {Verdict.IGNORED}
    assert all(remark.text.startswith("not used: ") for remark in found.remarks)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", document(tmp_path) and tmp_path / "paper.md"):
        with pytest.raises(Refused) as caught:
            knowledge_of(path)
        assert caught.value.diagnostics[0].code == "file"


def test_files_past_a_limit_are_said_to_be_unread(tmp_path: Path) -> None:
    known = tmp_path / "many"
    known.mkdir()
    for number in range(MAX_FILES + 3):
        (known / f"{number:04}.bin").write_bytes(b"\0")
    assert sum("past the first" in file.unread for file in knowledge_of(known)) == 3


def test_knowledge_is_not_written_to(tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.mkdir()
    (known / "gpus.md").write_text(GPUS)
    before = (known / "gpus.md").stat()
    knowledge_of(known)
    after = (known / "gpus.md").stat()
    assert (before.st_mtime_ns, before.st_size, os.listdir(known)) == (after.st_mtime_ns, after.st_size, ["gpus.md"])


def test_what_is_read_cites_the_knowledge_used(tmp_path: Path) -> None:
    text = read(tmp_path, "- TP stays inside a node\n")
    assert 'memory: 40000000000 # gpus.md:3: "40 GB of memory"' in text
    assert "rule TP stays inside a node: obeyed (rules.md:1)" in text
    assert "strategies: [ep=4]" in text
