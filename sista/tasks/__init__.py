"""One file per task: what is predicted, how it is scored, how it is drawn. No torch."""
