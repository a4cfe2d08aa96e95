"""Facts → one value for every key, and the description that is lowered.

scoping      whose facts they are: models, platforms; `modelling` names models, `published` knows those of the catalogue
deciding     which of several counts; contradictions name both lines
filling      what is left out: derived, usual, declared (rules.yaml)
workloads    batch and lengths, of a prefill or a step; `others` what is remarked beside
describing   the keys of a description
settle       all of it
"""
