"""Measurements that README and reports quote: `python -m benchmarks.NAME`, each prints one JSON line."""
