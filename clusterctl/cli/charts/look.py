"""What all pictures have in common: letters and shades."""

from __future__ import annotations

FONTS = "Helvetica, Arial, DejaVu Sans, sans-serif"
INK, SOFT, GRID = "#222222", "#666666", "#e4e4e4"
# People who cannot tell red from green can tell these colors apart: https://jfly.uni-koeln.de/color/.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
