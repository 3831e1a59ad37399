"""One module per raw layout: `write_patient` writes films, `finish` writes the tables."""
