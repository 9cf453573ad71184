"""One absl script per job: `python -m experiments.NAME --help`."""
