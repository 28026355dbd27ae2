"""Lets the tests in this folder share `entry_model`, and take the time they need."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# How long an example takes says how busy the machine is, and not whether the code is right.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
