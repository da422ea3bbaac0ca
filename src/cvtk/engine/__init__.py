"""Training, evaluation and prediction: the only place that runs MMDetection."""
