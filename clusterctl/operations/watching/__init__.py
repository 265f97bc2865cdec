"""`watch`: look at a cluster again and again, and bring back what it lacks."""
