"""The bed shares its steps with the end-to-end suite, and what that shares with others."""

import sys
from pathlib import Path

for folder in ("lib", "e2e"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))
