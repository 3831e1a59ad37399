"""The synthetic radiograph and report generator, written in the real raw layouts."""
