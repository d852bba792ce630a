"""What the process that a study's jobs are forked from imports, once for all of them.

Nothing is computed here: threads and locks do not survive a fork.
"""

import atexit
import gc

import lit_synth.studies.classifiers
import lit_synth.training.cli  # noqa: F401

gc.freeze()  # a job's collector leaves alone what is shared, which else would be copied
atexit.register(gc.unfreeze)  # or the end would look to extensions like a leak
