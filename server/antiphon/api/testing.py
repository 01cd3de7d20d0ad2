"""A host for one processor without a server, for plugins' tests. Stricter than the server."""

from antiphon.kernel.contract.harness import render, run_processor
from antiphon.kernel.workers.devices import without_workers
from antiphon.kernel.workers.pool import use as use_pool
