"""What may be asked and what is answered: records, acts, messages, reasons."""
