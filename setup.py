"""Packaging of the RCM lakehouse; `lib/` is a container, not a package."""

from setuptools import find_packages, setup

setup(
    name="rcm-lakehouse",
    version="0.1.0",
    description="A metadata-driven medallion lakehouse for a hospital network's revenue cycle",
    license="Apache-2.0",
    package_dir={"": "lib"},
    packages=find_packages("lib"),
    python_requires=">=3.10",
    # Where the newest release has left Python 3.10 behind, 3.10 gets the last one that runs on it.
    # A cluster brings its own Spark and Delta: they are in the extra `local`.
    install_requires=[
        "pydantic==2.14.3",
        "PyYAML==6.0.3",
        "tenacity==9.2.1",
        'filelock==4.2.12; python_version >= "3.11"',
        'filelock==4.1.0; python_version < "3.11"',
        "sqlglot==30.30.0",
        "rich==15.0.0",
        "requests==2.34.2",
        "tzdata==2026.6",
    ],
    extras_require={
        "local": ["pyspark==4.2.0", "delta-spark==4.4.0"],
        "dev": [
            "pytest==9.2.0",
            "pytest-timeout==2.4.0",
            "pytest-xdist==3.8.0",
            'hypothesis==6.170.17; python_version >= "3.11"',
            'hypothesis==6.168.5; python_version < "3.11"',
            "ruff==0.17.6",
            "mypy==2.4.1",
            'import-linter==2.17; python_version >= "3.11"',
            'import-linter==2.15; python_version < "3.11"',
            "types-PyYAML==6.0.12.20261113",
            "types-requests==2.33.0.20261030",
            "nbclient==0.11.0",
            "nbconvert==7.17.2",
            'ipykernel==7.4.0; python_version >= "3.11"',
            'ipykernel==7.3.0; python_version < "3.11"',
        ],
    },
)
