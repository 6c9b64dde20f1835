"""Sweeps over a base's recipe: Optuna chooses settings, Ray Tune runs and stops trainings, a folder remembers all."""
