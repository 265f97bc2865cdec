"""The bundled plugins: one file, one entry point, one INI name each. Of ours they import clusterctl.api alone."""
