"""Maps the bundled data into the wheel; all else is in pyproject.toml."""

import setuptools

setuptools.setup(
  packages=[
    *setuptools.find_packages(include=["jdeepvis", "jdeepvis.*"]),
    "jdeepvis.third_party",
  ],
  package_dir={"jdeepvis.third_party": "third_party"},
  package_data={
    "jdeepvis.third_party": ["*/*"],
    "jdeepvis": ["display/static/*", "toolbox/static/*"],
  },
)
