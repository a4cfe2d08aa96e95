"""dagc: compiles a model, a cluster and a parallel strategy into the proved, drawn deployment DAG."""

__version__ = "0.1.0"
