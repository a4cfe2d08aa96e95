"""Words of the field: how papers say the facts of models, workloads and clusters.

vocabulary   the tables (*.yaml): for every key its names, units, whole wordings, and what surrounds no fact
sayings      a document as sentences and, of tables (`cells`), "key: value"
linking      numbers ↔ what they count; `symbols` are letters that the paper defines
quoting      the line and the words of a fact
"""
