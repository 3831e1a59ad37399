"""Tables and figures from the scores."""
