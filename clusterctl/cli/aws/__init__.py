"""Commands for an account of AWS."""
