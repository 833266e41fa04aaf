"""How random tests run: `HYPOTHESIS_PROFILE=long` tries many more examples; a failure prints how to see it again."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]  # documents and streams are large by nature

settings.register_profile(
    "default", max_examples=200, deadline=None, print_blob=True, suppress_health_check=_SLOW_IS_FINE
)
settings.register_profile("long", settings.get_profile("default"), max_examples=4000)
settings.register_profile("quick", settings.get_profile("default"), max_examples=30)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
