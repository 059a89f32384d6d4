"""salvoc's toolkit: from images to variants. `training` goes on from there; nothing here imports it."""

import os

# Threads that wait for one another by spinning make torch up to a hundred times slower where another process wants the
# same cores. This must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
