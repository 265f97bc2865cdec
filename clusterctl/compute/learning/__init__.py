"""joblib and scikit-learn on a cluster's engines. It loads joblib only where somebody uses it."""
