"""The crash drill: kill a run at every point, run again, and compare every table with a clean run."""
