"""How a job lives: record, provenance, heart beat, energy, workers, progress."""
