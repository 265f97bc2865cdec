"""argv to one operation to text. The only place that prints, prompts or exits."""
