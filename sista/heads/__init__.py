"""One file per head: adaptation of a frozen encoder to a task."""
