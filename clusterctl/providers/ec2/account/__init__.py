"""What an account has: listed, audited, made and deleted."""
