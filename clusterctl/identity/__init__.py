"""Who is who by SSH: key pairs, addresses to log in at, and host keys that are known."""
