"""Quantities in a text: numbers in every way papers write them, with units; what only looks like one is left out.

quantity      what is found: values, unit, per what, form, span
finding       text → its quantities (`quantities_of`)
numerals, words, series    one number in digits or in words; several with one unit
units, names  tables: units and nouns (units.yaml); names that hold digits (names.yaml)
definitions   what the paper says that its MB or K mean (`definitions_of`)
"""

from .definitions import definitions_of
from .finding import quantities_of
from .quantity import Form, Quantity

__all__ = ["Form", "Quantity", "definitions_of", "quantities_of"]
