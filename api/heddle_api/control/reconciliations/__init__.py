"""Reconciliations, for operators: rows and objects held against each other, by a dispatcher."""
