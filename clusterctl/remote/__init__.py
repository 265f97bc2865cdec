"""One node over SSH: reaching its port, logging in, running commands, copying files. It never asks a cloud."""
