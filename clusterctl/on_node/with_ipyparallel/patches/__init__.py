"""All that is replaced inside of ipyparallel. Each patch looks first whether it still meets what it was made for."""
