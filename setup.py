"""Packaging of the RCM lakehouse; `lib/` is a container, not a package."""

from setuptools import find_packages, setup

setup(
    name="rcm-lakehouse",
    version="0.1.0",
    description="A metadata-driven medallion lakehouse for a hospital network's revenue cycle",
    package_dir={"": "lib"},
    packages=find_packages("lib"),
    python_requires=">=3.10",
    install_requires=[
        "pydantic==2.14.3",
        "PyYAML==6.0.3",
        "tenacity==9.2.1",
        "filelock==4.2.12",
        "sqlglot==30.30.0",
        "rich==15.0.0",
        "requests==2.34.2",
    ],
)
