"""A paper → an experiment: what it says, where it says it, and what was settled by rule.

formats    any file → `document`: blocks of plain text with their lines
lexicon    words and numbers → `facts`: key, value, unit, line, quoted words
methods    baseline and proposals, recognised by mechanism, as strategies; what is impossible as written
settling   one value for each key: contradictions decided, gaps derived or declared
knowledge  what is known beside the paper; `llm`: a language model's help, held against the paper
writing    all of it as the YAML that is lowered
"""
