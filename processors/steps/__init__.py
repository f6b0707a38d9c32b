"""The steps of the pipeline, a verb each: pure functions from what the one before them made."""
