"""Trained weights as a file that runs without PyTorch and MMDetection."""
