"""Training objectives: one file each, one interface (`term.Term`); a recipe is a weighted sum of terms."""
