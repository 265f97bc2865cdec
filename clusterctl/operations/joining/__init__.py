"""The join: the one way in which nodes become members, and the order in which plugins act on them."""
