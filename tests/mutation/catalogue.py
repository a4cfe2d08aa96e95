"""Known bugs of parallelized inference, by class, as reported against public systems; and those that dagc cannot have.

The numbers are what `classes` refers to.
"""

BUGS = {
    "F1": "a partial sum read as the whole",
    "F2": "a sum taken twice",
    "F3": "a full and a partial value added",
    "F4": "a replicated term inside a sum",
    "F5": "a bias added before the sum",
    "F6": "a nonlinear function of a partial value or a local slice",
    "F7": "a mean divided by the local size",
    "F8": "the wrong group, mesh axis or stage",
    "F9": "the wrong collective",
    "F10": "KV heads of another replica, or of none",
    "F11": "a weight sized by what does not cut it",
    "F12": "fused matrices cut at the wrong boundary",
    "F13": "positions of a part of the sequence counted from the wrong start",
    "F14": "a mask or other side input cut otherwise than the tokens",
    "F15": "tokens in another order after they are gathered",
    "F16": "attention that misses keys of other parts, or has the wrong ones",
    "F17": "rows of a cut vocabulary mistaken",
    "F18": "a loss or softmax over a cut vocabulary with local statistics",
    "F19": "padding of uneven parts taken from the wrong place",
    "F20": "global expert ids taken for local ones",
    "F21": "tokens of other ranks added up",
    "F22": "dispatched rows combined in another order",
    "F23": "experts cut as the tokens are, so that only diagonal blocks are computed",
    "F24": "a router that differs between ranks",
    "F25": "a wrong constant factor",
    "F26": "layers lost or run twice where stages meet",
    "F27": "tied weights that are not the same",
    "F28": "the latent of latent attention cut",
    "F29": "dimensions of equal size exchanged",
    "F30": "a KV cache laid out for another degree",
    "F31": "one rank that deviates",
    "F32": "collectives in another order on some ranks",
    "F33": "members of a group that disagree on what they exchange",
    "F34": "a node started before its operands are there",
    "F35": "a weight kept in parts that is used before it is gathered, or gathered from other GPUs, parts or weights",
    "F36": "a KV cache without this step's tokens, or with them at other positions",
    "F37": "a copy of an expert that is not it, or rows that all of its slots take, or none",
    "F38": "parts of attention merged without log-sum-exps; a ring that stops early, goes on too long or turns back",
    "F39": "a KV cache handed over to another GPU, in other parts, as another one, or not at all",
    "F40": "a chunk of tokens that does not see the keys of the chunks before it, or sees others",
}

IMPOSSIBLE = {
    "F18": "deployments end in logits: there is no loss, and no softmax over the vocabulary",
    "F19": "all parts are equal: a size that does not divide is refused before anything is emitted",
}
"""Why a graph with this bug cannot be written down."""
