"""One file per head: how an encoder is adapted to a task, frozen, tuned or untrained."""
