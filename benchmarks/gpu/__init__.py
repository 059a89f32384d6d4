"""What a GPU makes of salvoc, against its own limits and the goals that were set: `python -m benchmarks.gpu`."""
