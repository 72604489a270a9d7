"""A metadata-driven medallion lakehouse for a hospital network's revenue cycle."""

__version__ = "0.1.0"
