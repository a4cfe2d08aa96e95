"""How the suite is run: one thread for numpy's matrix products (small ones are slower in several, and every core has a
worker), and tests that stand together in one worker, so that they find what others of their file have made.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before anything imports numpy

import pytest
from xdist.scheduler import WorkStealingScheduling


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> WorkStealingScheduling:
    """Every worker starts with a run of tests; one that is done takes from the others."""
    return WorkStealingScheduling(config, log)
