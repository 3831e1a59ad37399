"""What `adapt` needs: one job, and one class a task."""
