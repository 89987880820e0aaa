"""Fixtures that several rooms share, each in its own file."""

pytest_plugins = ["catalog_databases", "cli_doors"]
