"""Charts in a terminal and as SVG."""
