"""`bourse certify`: a firm proves, case by case, that its client keeps the rules of sessions."""
