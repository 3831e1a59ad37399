"""What `prepare` needs: reading films, geometry, masks, labels, splits."""
