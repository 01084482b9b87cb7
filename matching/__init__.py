"""The order book: integers in, integers out. See `matching.batch` for arrays in, arrays out."""
