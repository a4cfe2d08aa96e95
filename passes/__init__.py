"""What turns a logical module into a deployment graph, one verb a file; `verify/` proves it, `measure` counts it."""
