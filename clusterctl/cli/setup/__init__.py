"""Commands for the preparation of clusters: the config file, images, completion."""
