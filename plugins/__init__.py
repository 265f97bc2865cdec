"""The bundled plugins: a file or folder, an entry point and a name each. Of ours they import clusterctl.api alone."""
