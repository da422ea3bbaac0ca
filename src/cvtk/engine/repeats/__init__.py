"""Several trainings that belong together: the folds of a cross-validation, seeds, parts of the images."""
