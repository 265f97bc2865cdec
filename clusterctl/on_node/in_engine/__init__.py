"""What a client sends into an engine: the standard library, and what an engine has loaded anyway."""
