"""WHERE: the database, its tables, the landing area and the work directory."""
