"""How a call comes in and an answer goes out: the line, limits, client tokens, moto, and who answers in its place."""
