"""Reads drawn graphs: anyone's DOT → `Drawing`. Graphviz judges what parses, a scanner says on which line."""
