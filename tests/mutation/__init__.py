"""Mutants of the rules of money and matching: samples of them, and which tests kill them."""
