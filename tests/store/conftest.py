"""Lets the tests in this folder share their examples, and the model of an access entry."""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "core")]
