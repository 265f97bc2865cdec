"""Copies files and folders as one stream of bytes: both of its ends, and the program for a node that is one of them."""
