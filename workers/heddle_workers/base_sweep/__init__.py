"""Sweeps over a base's recipe: Optuna chooses settings, Ray Tune runs and stops trainings, a folder remembers all.

`desk` hands out trainings, `settings` says what to try next, `tuned` runs them, `trial` is one of them, `show` is what
people see meanwhile, `told` what is told to a process that started it on a cluster.

Tune and Optuna keep states of their own, which a kill can tear from the trainings' checkpoints. So a sweep's state is
its folder: settings, outcomes and measurements are files that are whole at any moment, and Optuna's study and the
rungs of early stopping are made anew from them at each start.
"""
