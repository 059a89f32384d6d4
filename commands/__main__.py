"""`python -m commands STAGE`: `salvoc STAGE` by the code of the folder that it runs in.

That is how DVC runs the stages: an experiment in a checkout of its own must not be computed by the code of another one.
"""

from commands import app

app(prog_name="salvoc")
