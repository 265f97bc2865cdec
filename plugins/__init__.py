"""The bundled plugins. One file, one plugin, one entry point, one INI name. They import clusterctl.api and nothing else of ours."""
