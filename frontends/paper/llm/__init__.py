"""A language model may help to read a paper, and is not trusted: `--reader llm`.

endpoint   an OpenAI-compatible server: one question, one answer within limits, or why there is none
question   the paper, fenced as data, and the JSON Schema of what is asked
answer     text → items, each of the right shape or said to be dropped
checking   an item → a fact or a method, if the words it quotes stand in the paper and say the value
comparing  what the deterministic reader found stands; what only the model found, and checks, is kept and marked
"""

from .comparing import Helped, helped
from .endpoint import Endpoint

__all__ = ["Endpoint", "Helped", "helped"]
