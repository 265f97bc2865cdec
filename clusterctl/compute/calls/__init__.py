"""What a call is told, what it shows of itself, and what it remembers."""
