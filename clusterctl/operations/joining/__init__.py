"""The join: the one way for nodes to become members, and the order in which plugins act on them."""
