"""Measurements that README and reports quote: `python -m benchmarks.NAME`, each prints one JSON line, `gpu` a page."""

import toolkit  # noqa: F401 (it sets what libraries compute with, before they are imported)
