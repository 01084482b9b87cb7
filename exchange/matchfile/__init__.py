"""Tables of commands in, tables of events out: the matching engine alone, over CSV and Parquet files."""
