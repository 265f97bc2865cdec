"""The engines of a client: which there are, what each has to do, what it says, and what it leaves to others."""
