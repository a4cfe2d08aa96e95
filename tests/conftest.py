"""One thread for numpy's matrix products: small ones are slower in several, and xdist has a worker on every core."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before anything imports numpy
