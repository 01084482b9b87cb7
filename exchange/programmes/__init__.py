"""Sample programmes, a file each: terms as they were published, for an operator to change and define."""
