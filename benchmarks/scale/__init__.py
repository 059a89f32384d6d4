"""python -m benchmarks.scale: how time and memory of every stage grow with the images, up to a million of them."""
