"""The plan, the steps and the runner."""
