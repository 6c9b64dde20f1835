"""Erasures: images taken out of everything, with a signed certificate."""
