"""Fixtures that several rooms share, each in its own file."""

pytest_plugins = [
    "catalog_databases",
    "cli_doors",
    "dataset_files",
    "gateway_house",
    "live_server",
    "record_makers",
    "record_stores",
]
