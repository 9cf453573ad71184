"""Layer types: a file for each sort, with all that is known of each type."""
