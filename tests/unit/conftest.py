"""Property tests are frugal here; `HYPOTHESIS_PROFILE=thorough` looks longer and elsewhere."""

import os

from hypothesis import settings

settings.register_profile("frugal", max_examples=40, deadline=None, derandomize=True, database=None)
settings.register_profile("thorough", max_examples=2000, deadline=None, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "frugal"))
