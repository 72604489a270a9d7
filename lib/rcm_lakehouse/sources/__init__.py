"""The outside world: JDBC databases, files and HTTP APIs."""
