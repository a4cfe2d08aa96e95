"""Hand-made deployments for the backends' tests: an MoE layer with expert parallelism, a dense one with TP × PP."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dagc.ir.deployment import Deployment, EdgeKind, Kind, Link, Move, Pool, Port, Repeat, Row
from dagc.ir.view import Lane, View

HOST = np.empty((1, 0), dtype=np.int64)
HIDDEN, HEADS, D_K, FFN, EXPERTS, TOP_K, SEQ = 4096, 32, 128, 16384, 16, 2, 1024
MERGES = "expert_tokens = batch_size·seq_len·top_k/experts"


def port(tensor: str, merges: str = "", **dims: int | tuple[int, int]) -> Port:
    """`port("x", batch_size=(8, 128), hidden=4096)`: local and global size, or one for both."""
    pairs = [size if isinstance(size, tuple) else (size, size) for size in dims.values()]
    return Port(tensor, tuple(dims), tuple(a for a, _ in pairs), tuple(b for _, b in pairs), "bf16", merges)


@dataclass
class Maker:
    """Adds rows one after another; a row is fed by the first outputs of earlier rows."""

    rows: list[Row] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    repeat: Repeat | None = None

    def add(
        self,
        path: str,
        out: Port,
        *fed: int,
        places: np.ndarray = HOST,
        kind: Kind = Kind.COMPUTE,
        select: tuple[int, ...] = (),
        **more: object,
    ) -> int:
        index, op = len(self.rows), path.rsplit(".", 1)[-1]
        for slot, source in enumerate(fed):
            chosen = EdgeKind.SELECT if source in select else EdgeKind.DATA
            self.links.append(Link(source, index, 0, slot, chosen, self.rows[source].outputs[0].tensor))
        row = {
            "op": op,
            "title": op.replace("_", " ").capitalize(),
            "inputs": tuple(self.rows[source].outputs[0] for source in fed) or (out,),
            "outputs": (out,),
            "repeat": self.repeat,
            **more,
        }
        self.rows.append(Row(index=index, kind=kind, path=path, places=places, **row))  # type: ignore[arg-type]
        return index

    def deployment(self, model: str, strategy: str, gpus: int, pools: tuple[Pool, ...]) -> Deployment:
        facts = (f"{gpus} × H100 (2 nodes × 8)", "batch 128 × 1024 tokens", f"hidden {HIDDEN}", "bf16")
        return Deployment(model, strategy, facts, gpus, pools, tuple(self.rows), tuple(self.links))


def expert_parallel(gpus: int = 16, model: str = "wide-moe-16L", layers: int = 16, shared: bool = False) -> Deployment:
    """Attention is data parallel, one expert per GPU; two all-to-alls of tokens and one of routing counts."""
    make, each, everyone = Maker(), np.arange(gpus).reshape(-1, 1), np.arange(gpus).reshape(1, -1)
    batch = (8, 8 * gpus)
    tokens = (8 * SEQ * TOP_K // EXPERTS, 8 * SEQ * TOP_K // EXPERTS * gpus)
    kept = {"batch_size": batch, "seq_len": SEQ}
    hidden = {**kept, "hidden": HIDDEN}
    heads = {**kept, "heads": HEADS, "d_k": D_K}

    whole = port("input", batch_size=batch[1], seq_len=SEQ, hidden=HIDDEN)
    source = make.add("input", whole, kind=Kind.INPUT, title="Total input")
    x = make.add("scatter", port("x", **hidden), source, kind=Kind.ROUTE, title="Scatter input")
    make.repeat = Repeat(0, layers - 1)
    weight = port("w", hidden=HIDDEN, heads=HEADS, d_k=D_K)

    def run(path: str, out: Port, *fed: int, **more) -> int:
        return make.add(f"layers.{path}", out, *fed, places=each, **more)

    norm = run("attention_norm", port("n", **hidden), x, title="Norm (attention)")
    q, k, v = (
        run(f"attention.{n}_proj", port(n, **heads), norm, weights=(weight,), title=f"{n.upper()} projection")
        for n in "qkv"
    )
    q, k = (
        run(f"attention.{n}_rope", port(f"{n}_rope", **heads), i, title=f"RoPE {n.upper()}")
        for n, i in (("q", q), ("k", k))
    )
    k, v = (
        run(
            f"attention.core.{n}_cache",
            port(n, **heads),
            i,
            state=(port(n, **heads),),
            title=f"{n.upper()} cache append",
        )
        for n, i in (("k", k), ("v", v))
    )
    grid = {"batch_size": batch, "heads": HEADS, "seq_len": SEQ, "kv_len": SEQ}
    y = run("attention.core.scores", port("scores", **grid), q, k, title="Scores QKᵀ")
    for step in ("scale", "mask", "softmax"):
        y = run(f"attention.core.{step}", port(step, **grid), y)
    y = run("attention.core.context", port("context", **heads), y, v, title="Context PV")
    y = run("attention.o_proj", port("attended", **hidden), y, title="Output projection", weights=(weight,))
    x = run("attention_residual", port("h", **hidden), x, y, title="Residual add (attention)")

    norm = run("ffn_norm", port("n2", **hidden), x, title="Norm (FFN)")
    chosen = {**kept, "experts": EXPERTS}
    gate = run(
        "moe.gate",
        port("logits", **chosen),
        norm,
        title="Gate (router)",
        weights=(port("w", hidden=HIDDEN, experts=EXPERTS),),
    )
    scores = run("moe.gate_softmax", port("gate_scores", **chosen), gate, select=(gate,))
    top = run(
        "moe.top_k",
        port("routing", **kept, top_k=TOP_K),
        scores,
        select=(scores,),
        kind=Kind.ROUTE,
        title="Top-k select",
    )
    rows = {"experts": EXPERTS, "expert_tokens": tokens, "hidden": HIDDEN}
    sent = run(
        "moe.dispatch",
        port("rows", MERGES, **rows),
        norm,
        top,
        select=(top,),
        kind=Kind.ROUTE,
        title="Token split (dispatch)",
    )
    count = run(
        "moe.dispatch.count",
        port("counts", experts=EXPERTS, source=(1, gpus)),
        top,
        select=(top,),
        kind=Kind.ROUTE,
        title="Routing counts",
    )

    def exchange(path: str, out: Port, fed: int, size: int, title: str, **more) -> int:
        move = Move("all-to-all", ("ep",), size, 2 * size)
        return make.add(
            f"layers.{path}", out, fed, places=everyone, kind=Kind.COMM, move=move, title=title, op="all_to_all", **more
        )

    held = (1, EXPERTS)
    local = {"experts": held, "expert_tokens": tokens[1]}
    inside = exchange(
        "moe.dispatch",
        port("local_rows", MERGES, **local, hidden=HIDDEN),
        sent,
        62_914_560,
        "All-to-all: dispatch → experts",
    )
    told = exchange(
        "moe.dispatch.count",
        port("local_counts", experts=held, source=gpus),
        count,
        240,
        "All-to-all: routing counts",
        select=(count,),
    )
    names = tuple(f"expert {g % EXPERTS}" for g in range(gpus))
    wide = {"spread": names, "weights": (port("w", experts=held, hidden=HIDDEN, ffn=FFN),)}
    g1 = run("moe.experts.gate_proj", port("g", MERGES, **local, ffn=FFN), inside, told, select=(told,), **wide)
    act = run("moe.experts.activation", port("a", MERGES, **local, ffn=FFN), g1, spread=names)
    up = run("moe.experts.up_proj", port("u", MERGES, **local, ffn=FFN), inside, told, select=(told,), **wide)
    mul = run("moe.experts.multiply", port("m", MERGES, **local, ffn=FFN), act, up, spread=names)
    down = run("moe.experts.down_proj", port("d", MERGES, **local, hidden=HIDDEN), mul, **wide)
    back = exchange(
        "moe.experts.down_proj", port("rows_back", MERGES, **rows), down, 62_914_560, "All-to-all: experts → combine"
    )
    y = run(
        "moe.combine",
        port("mixed", **hidden),
        back,
        top,
        select=(top,),
        kind=Kind.ROUTE,
        title="Weighted sum (combine)",
    )
    if shared:
        y = _shared(run, kept, hidden, norm, y)
    x = run("ffn_residual", port("y", **hidden), x, y, title="Residual add (FFN)")

    make.repeat = None
    end = make.add(
        "gather",
        port("output", batch_size=batch[1], seq_len=SEQ, hidden=HIDDEN),
        x,
        kind=Kind.ROUTE,
        title="Gather output",
    )
    make.add("output", make.rows[end].outputs[0], end, kind=Kind.OUTPUT, title="Total output")
    return make.deployment(model, "ep", gpus, (Pool("all", np.arange(gpus)),))


def _shared(run, kept: dict, hidden: dict, norm: int, mixed: int) -> int:
    wide = {**kept, "ffn": 2048}
    g = run("moe.shared.gate_proj", port("sg", **wide), norm)
    act = run("moe.shared.activation", port("sa", **wide), g)
    u = run("moe.shared.up_proj", port("su", **wide), norm)
    m = run("moe.shared.multiply", port("sm", **wide), act, u)
    d = run("moe.shared.down_proj", port("sd", **hidden), m)
    return run("moe.add_shared", port("sum", **hidden), mixed, d, title="Add shared expert")


def dense_tp_pp(tp: int = 8, stages: int = 2) -> Deployment:
    """Tensor parallel inside a stage (two all-reduces a layer), one transfer per rank between stages."""
    make, gpus = Maker(), tp * stages
    hidden = {"batch_size": 128, "seq_len": SEQ, "hidden": HIDDEN}
    heads = {"batch_size": 128, "seq_len": SEQ, "heads": (HEADS // tp, HEADS), "d_k": D_K}
    source = make.add("input", port("input", **hidden), kind=Kind.INPUT, title="Total input")
    x = make.add("scatter", port("x", **hidden), source, kind=Kind.ROUTE, title="Scatter input")
    for stage in range(stages):
        x = _stage(make, np.arange(stage * tp, (stage + 1) * tp), stage, x, hidden, heads)
        make.repeat = None
        if stage + 1 < stages:
            pairs = np.stack([np.arange(tp) + stage * tp, np.arange(tp) + (stage + 1) * tp], axis=1)
            move = Move("send/recv", ("pp",), 536_870_912, 1_073_741_824)
            x = make.add(
                "layers",
                port(f"sent{stage}", **hidden),
                x,
                places=pairs,
                kind=Kind.COMM,
                move=move,
                op="send",
                senders=1,
                title="Send/recv: stage boundary",
            )
    end = make.add("gather", port("output", **hidden), x, kind=Kind.ROUTE, title="Gather output")
    make.add("output", port("output", **hidden), end, kind=Kind.OUTPUT, title="Total output")
    pools = tuple(Pool(f"stage{s}", np.arange(s * tp, (s + 1) * tp)) for s in range(stages))
    return make.deployment("dense-16L", f"tp={tp},pp={stages}", gpus, pools)


def _stage(make: Maker, gpus: np.ndarray, stage: int, x: int, hidden: dict, heads: dict) -> int:
    tp = len(gpus)
    make.repeat = Repeat(8 * stage, 8 * stage + 7)

    def run(path: str, out: Port, *fed: int, **more) -> int:
        return make.add(f"layers.{path}", out, *fed, places=gpus.reshape(-1, 1), **more)

    def reduce(path: str, out: Port, fed: int, title: str) -> int:
        move = Move("all-reduce", ("tp",), 939_524_096, 1_879_048_192)
        return make.add(
            f"layers.{path}",
            out,
            fed,
            places=gpus.reshape(1, -1),
            kind=Kind.COMM,
            move=move,
            op="all_reduce",
            title=title,
        )

    norm = run("attention_norm", port("n", **hidden), x, title="Norm (attention)")
    q, k, v = (run(f"attention.{n}_proj", port(n, **heads), norm, title=f"{n.upper()} projection") for n in "qkv")
    k, v = (
        run(f"attention.core.{n}_cache", port(n, **heads), i, state=(port(n, **heads),))
        for n, i in (("k", k), ("v", v))
    )
    grid = {"batch_size": 128, "heads": (HEADS // tp, HEADS), "seq_len": SEQ, "kv_len": SEQ}
    y = run("attention.core.scores", port("scores", **grid), q, k, title="Scores QKᵀ")
    y = run("attention.core.softmax", port("softmax", **grid), y)
    y = run("attention.core.context", port("context", **heads), y, v, title="Context PV")
    y = run("attention.o_proj", port("partial", **hidden), y, title="Output projection")
    y = reduce("attention.o_proj", port("attended", **hidden), y, "All-reduce: o_proj → residual")
    x = run("attention_residual", port("h", **hidden), x, y, title="Residual add (attention)")
    norm = run("ffn_norm", port("n2", **hidden), x, title="Norm (FFN)")
    wide = {"batch_size": 128, "seq_len": SEQ, "ffn": (FFN // tp, FFN)}
    y = run("ffn.up_proj", port("u", **wide), norm)
    y = run("ffn.activation", port("a", **wide), y)
    y = run("ffn.down_proj", port("partial2", **hidden), y)
    y = reduce("ffn.down_proj", port("mixed", **hidden), y, "All-reduce: down_proj → residual")
    return run("ffn_residual", port(f"y{stage}", **hidden), x, y, title="Residual add (FFN)")


def gpus_view(deployment: Deployment) -> View:
    return View("gpus", deployment, tuple(_lane(int(g)) for pool in deployment.pools for g in pool.gpus))


def representative_view(deployment: Deployment) -> View:
    lanes: list[Lane] = []
    gaps: dict[int, str] = {}
    for pool in deployment.pools:
        ids = pool.gpus.tolist()
        gaps[len(lanes) + 1] = f"GPU {ids[2]} … GPU {ids[-2]}: {len(ids) - 3} more, identical"
        lanes += [_lane(g) for g in (ids[0], ids[1], ids[-1])]
    return View("representative", deployment, tuple(lanes), gaps=gaps)


def spmd_view(deployment: Deployment) -> View:
    lanes = []
    for pool in deployment.pools:
        span = f"{pool.gpus[0]}-{pool.gpus[-1]}"
        title = f"all GPUs ({span})" if len(pool.gpus) == deployment.gpus else f"GPUs {span}"
        lanes.append(Lane(int(pool.gpus[0]), pool.gpus, title))
    return View("spmd", deployment, tuple(lanes), merged=True)


def _lane(gpu: int) -> Lane:
    return Lane(gpu, np.array([gpu]), f"GPU {gpu}")
