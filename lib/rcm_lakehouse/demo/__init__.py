"""Two hospitals of made-up people: databases, files and API stubs."""
