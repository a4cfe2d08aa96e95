"""Baseline and proposals of a paper, recognised by mechanism, as strategies.

statements    what a paper says, and of whom: baseline, proposal, others' work (roles.yaml)
recognising   weighs clues for and against (mechanisms.yaml; `patterns` reads them, words.yaml); `baselines`, `notation`
              and `combining` read degrees (axes.yaml)
parameters    where a mechanism's values come from: words, facts (`known`), expressions (`arithmetic`), `options`
drafts        a mechanism with its values; `templates` fills the strategy, `bodies` changes it
readings      points that can be read in two ways (readings.yaml); `claims` what is to be said (claims.yaml)
conflicts     values that exclude one another (conflicts.yaml)
possible      what is impossible as written: `candidates` for it, of which `repairing` takes the nearest possible one
finding       all of it: document and facts → methods, remarks and points
"""
