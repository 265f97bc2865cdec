"""Commands for what comes before a cluster: the config file, images, completion."""
