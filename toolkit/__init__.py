"""salvoc's toolkit: from images to variants. `training` goes on from there; nothing here imports it."""

import os

# Threads that wait for one another spin for milliseconds, which makes torch up to a hundred times slower where another
# process wants the same cores: let them spin for microseconds, then sleep. This must be set before torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
