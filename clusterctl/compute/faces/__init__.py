"""What a pool looks like: to those who know multiprocessing, to those who want an executor, and to a task."""
