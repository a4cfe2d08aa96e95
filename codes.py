"""The catalogue of diagnostic codes: what each means and what usually mends it. `dagc explain CODE` prints an entry.

Rules of the drawn graph (OUT*, DAG*, NODE*, DIM*, DEP*) keep the codes of the contract they come from.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    meaning: str
    mend: str


CODES: dict[str, Code] = {
    # inputs
    "file": Code("A file or folder cannot be read, or is not what its name says.", "Check the path."),
    "syntax": Code("A file does not parse (YAML, JSON or IR).", "Mend the line named."),
    "missing-key": Code("A description or configuration lacks a key that cannot be assumed.", "Add the key."),
    "unknown-key": Code("A description has a key that dagc does not know.", "Check its spelling or remove it."),
    "duplicate": Code("A key is given twice, or two things have one name.", "Keep one, or rename one."),
    "wrong-type": Code("A value has the wrong type or is out of range.", "Give a value of the expected type."),
    "unsupported": Code("The model or option is known but dagc cannot compile it yet.", "Use a supported one."),
    "unknown-architecture": Code(
        "The configuration names an architecture that is not in the table.", "`dagc models` lists the supported ones."
    ),
    "unknown-model": Code("No built-in model, file or folder has this name.", "`dagc models` lists the built-in ones."),
    "unknown-strategy": Code("No strategy, file or mesh has this name.", "`dagc strategies` lists them."),
    "unknown-value": Code(
        "No operator, tensor or node of a folder has this name.", "Use a path, a tensor's name or a node of the DOT."
    ),
    "unknown-gpu": Code("The GPU type is not in the table of GPUs.", "Use a listed type or give its memory."),
    "language-model": Code(
        "A language model cannot be asked to help with a paper.",
        "Name a model and an address (--llm-model, --llm-base-url), or read without --reader llm.",
    ),
    "too-large": Code("An input is larger or more deeply nested than any description needs.", "Make it smaller."),
    "empty-document": Code(
        "A paper holds no text: it is empty, or a PDF of scanned pages.",
        "Give the text; run character recognition (OCR) on scans first.",
    ),
    "paper": Code(
        "A paper leaves out what no rule can supply: a model, or every way to deploy it.",
        "Write it into the YAML of `dagc read`, or give --knowledge or --strategy.",
    ),
    "unsafe-out": Code("The output folder holds files that dagc did not write.", "Choose another --out, or --force."),
    "certificate": Code(
        "The files of an output folder do not agree with one another or with their certificate.",
        "Write the folder anew with `dagc lower`, or restore the file named.",
    ),
    "render": Code("Graphviz could not draw a picture, or took too long.", "Draw a smaller view."),
    # plans
    "mesh": Code(
        "The mesh does not multiply to the GPUs, or leaves no or several axes open.",
        "Give every axis a size, or leave exactly one open with --gpus.",
    ),
    "indivisible": Code("An axis does not divide a dimension that it cuts.", "Use one of the sizes listed."),
    "conflict": Code("One axis would cut two dimensions of one operator.", "Let each axis cut one; see both rules."),
    "stages": Code("The cut of the layers into pipeline stages is impossible.", "Give counts that sum to the layers."),
    "slots": Code(
        "Experts cannot be placed on GPUs as the strategy says: an expert without a slot, or counts that do not fit.",
        "Use one of the counts named, or list the experts of every GPU.",
    ),
    "micro-batches": Code(
        "The batch cannot go through in so many equal parts, one after the other.", "Use one of the numbers listed."
    ),
    "token-chunks": Code(
        "A prompt cannot go through in so many chunks of its tokens: they do not divide it, or it is not the same.",
        "Use one of the numbers listed, or let it through at once (--token-chunks 1).",
    ),
    "capacity": Code(
        "The layers do not fit the capacity that the stages are fitted to.",
        "Cut layers further (tensor parallel), use more stages, or give a larger capacity.",
    ),
    "rule": Code("A strategy's rule matches nothing, or names an unknown axis or dimension.", "Mend the rule."),
    "paths": Code(
        "A collective cannot be drawn as transfers: the algorithm does not suit it, or there would be too many.",
        "Choose another with --algorithm, or --collectives hub.",
    ),
    "whole": Code("An axis cuts a dimension that an operator needs whole.", "Lift the axis there (`~`)."),
    # IR
    "ill-formed": Code("The module is not well-formed IR.", "Report it as a bug if dagc made the module."),
    "unproven": Code("A dimension's parts could not be proven to add up to the whole.", "See the missing fact."),
    "layout": Code("A value's layout is not what its operator's rule allows.", "See the operator named."),
    "unpaid": Code(
        "A value owes a sum, or a log-sum-exp, that no one pays.", "Pay it with an all-reduce or reduce-scatter."
    ),
    "time": Code(
        "What passes by in time, a part at each step (ring attention), is read as if it were there at once.",
        "Let a merge accumulate it, or gather it.",
    ),
    "handover": Code(
        "A cache is not where the program that decodes looks for it, or in other parts than the prefill leaves it in.",
        "Let the rules cut it alike in both programs; a cache that grows is cut along kv_len strided, or not at all.",
    ),
    "coverage": Code("A layer or a weight shard is missing or there too often.", "See the layer or weight named."),
    # rules of the graph
    "OUT1": Code("A model has no graph of its own.", "Write a graph for every model, and none for several."),
    "OUT2": Code(
        "The baseline or the proposal has no graph, or both have the same.",
        "Deploy both, each with a graph of its own.",
    ),
    "OUT3": Code(
        "A graph is not there as DOT and as SVG, in the folder itself.", "Render it: dot -Tsvg x.dot -o x.svg"
    ),
    "OUT4": Code(
        "No JSON of the folder lists its graphs, or it lists what is not there.",
        "List every DOT and SVG by its path from the folder, with role and status.",
    ),
    "OUT5": Code("A file is empty, cut off or half written.", "Write it anew: aside, then rename it."),
    "OUT6": Code(
        "A module's parts × replicas do not equal the GPUs it is placed on, or GPUs are left idle.",
        "Use one of the meshes named.",
    ),
    "DAG1": Code("The graph has a cycle.", "Remove the back edge."),
    "DAG2": Code("There is not exactly one total input and one total output.", "Join them."),
    "DAG3": Code("A node dangles: it lacks a predecessor or a successor.", "Connect or remove it."),
    "DAG5": Code("A residual add has fewer than two inputs.", "Join the residual branch."),
    "DAG7": Code(
        "A body drawn once does not stand for all of its rounds.", "Let it yield what it starts from, laid out alike."
    ),
    "DAG9": Code("Data moves between GPUs without a communication node.", "Draw the communication."),
    "DIM1": Code("An edge's producer and consumer disagree on dimensions.", "See the edge named."),
    "DIM2": Code("The parts of a dimension do not add up to its global size.", "See the tensor and dimension named."),
    "DIM3": Code(
        "An operator's result does not follow from its operands by its rule.", "See the dimensions that would follow."
    ),
    "DIM5": Code("A node's declared inputs and its edges differ.", "See the node named."),
    "DEP2": Code("The load is unbalanced: largest/mean is above 1.10.", "See the GPUs and the cause named."),
    "DEP3": Code(
        "A value of the deployed graph is not what the undivided model computes.",
        "See the first value that differs: its operator, GPU and index.",
    ),
    "DEP4": Code(
        "The members of a collective are not one pool, or it stands before what it waits for: GPUs would deadlock.",
        "See the collective named.",
    ),
    "DEP5": Code("A GPU's peak memory exceeds its capacity.", "Use more GPUs, a smaller batch or more cuts."),
    "DAG4": Code("A module of several operators is drawn as one node.", "Draw one node per operator."),
    "DAG6": Code(
        "The gate's choice of experts is not drawn dashed from every gate to all that obey it.",
        "Draw gate, top-k, dispatch, combine and routing counts to every expert dashed.",
    ),
    "DAG8": Code("An edge splits or joins the data it carries.", "Draw the split or the aggregation as a node."),
    "NODE1": Code("A node's shape is not that of its kind.", "Use an ellipse, a rectangle or a parallelogram."),
    "NODE2": Code("A node does not state its dimensions, each number with its name.", "Write Input: […], Output: […]."),
    "NODE3": Code("A node does not name its GPU.", "Write GPU: 3, or GPU: all GPUs (0-15)."),
    "NODE4": Code("A GPU of a per-GPU view is no boundary, or a node lies in another's.", "Draw a cluster per GPU."),
    "NODE5": Code(
        "A communication node does not state its kind, its members, or how many bytes.", "Add what the message names."
    ),
    "DIM4": Code("A dimension is lost, or merged without saying what it merges.", "Carry it, or say what it merges."),
    "DEP1": Code("A module's parts do not match the GPUs it is placed on.", "Divide it into as many parts as GPUs."),
    "order": Code(
        "The order of a cut is unknown, lists a chunk twice or not at all, or does not divide the dimension.",
        "Use zigzag, strided, or a table of as many chunks as the axis has parts, or a multiple.",
    ),
    "unreadable": Code("A drawn graph states something in words dagc cannot read.", "Write it as the message shows."),
}

RULES: dict[str, str] = {
    "OUT1": "Every model of a description gets a graph of its own.",
    "OUT2": "The baseline gets a graph as well as each proposed strategy.",
    "OUT3": "Every graph is saved as DOT and as SVG; one deployment that fails does not withhold another's files.",
    "OUT4": "A manifest lists the path of every file and the status of every deployment.",
    "OUT5": "Inputs are never changed; no half-written file, no manifest that names one.",
    "OUT6": "A module's distinct parts × replicas equal the GPUs it is placed on; no GPU is idle.",
    "DAG1": "No cycle.",
    "DAG2": "One total input, one total output.",
    "DAG3": "Every node but the input has a predecessor, every node but the output a successor.",
    "DAG4": "Modules are broken down into all of their operators.",
    "DAG5": "A residual add has at least two inputs, one of them the residual.",
    "DAG6": "The gate's choice is drawn dashed, from every gate to every expert it may choose.",
    "DAG7": "Repeated modules are drawn once with their number of repetitions; what differs is drawn for itself.",
    "DAG8": "Aggregation and split of data are nodes.",
    "DAG9": "Data that moves between GPUs passes through a communication node.",
    "NODE1": "Ellipse: communication. Rectangle: computation. Parallelogram: routing and aggregation.",
    "NODE2": "Every node states its input and output dimensions, every number with its name.",
    "NODE3": "Every operator names its GPU, or says `all GPUs`.",
    "NODE4": "Each GPU is a cluster in the per-GPU view.",
    "NODE5": "A communication node states its kind, its members, what it carries and how many bytes.",
    "DIM1": "Along every data edge the producer's output dimensions equal one of the consumer's inputs.",
    "DIM2": "The sizes of the distinct local parts of a dimension add up to its global size.",
    "DIM3": "An operator's output dimensions follow from its inputs by its own rule.",
    "DIM4": "No dimension is lost; a merged one says what it merges.",
    "DIM5": "Every declared input is fed by an edge of its own, every data edge feeds a declared input.",
    "DEP1": "The parts a module is divided into match the GPUs it is placed on.",
    "DEP2": "Load is balanced: largest/mean is reported, above 1.10 with a warning.",
    "DEP3": "The deployed graph computes what the undivided model computes.",
    "DEP4": "All GPUs of a group meet their collectives in one order.",
    "DEP5": "Each GPU's peak memory is held against its capacity.",
}
"""The contract every drawn graph obeys, by code."""
